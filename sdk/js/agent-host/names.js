'use strict';
// The names of a run's steps and waits, which number themselves: name, name#2, name#3, …

class Names {
  constructor() {
    this.counts = new Map(); // name → how many bear it
  }

  // What the next one that the code calls `name` is called.
  peek(name) {
    const count = this.#countOf(name) + 1;
    return count === 1 ? name : `${name}#${count}`;
  }

  // The same, and that one is there now.
  take(name) {
    const shown = this.peek(name);
    this.counts.set(name, this.#countOf(name) + 1);
    return shown;
  }

  #countOf(name) {
    return this.counts.get(name) ?? 0;
  }
}

module.exports = { Names };
