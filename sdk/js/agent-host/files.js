'use strict';
// The files below the work folder. No path leads outside, by ".." or through a link.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { coded } = require('./errors');

const LISTED_MAX = 100_000;

class Files {
  constructor(root) {
    this.root = fs.existsSync(root) ? fs.realpathSync(root) : root;
  }

  // The absolute path, checked: what exists of it is really below the root.
  resolve(relative) {
    if (typeof relative !== 'string' || relative === '' || relative.includes('\0')) {
      throw coded('invalid_path', `a path must be a text, it is ${JSON.stringify(relative)}`);
    }
    const absolute = path.resolve(this.root, relative);
    this.#requireInside(absolute, relative);
    for (let at = absolute; ; at = path.dirname(at)) {
      let real;
      try {
        real = fs.realpathSync(at);
      } catch (error) {
        if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
        continue;
      }
      this.#requireInside(real, relative);
      return absolute;
    }
  }

  #requireInside(absolute, relative) {
    if (absolute !== this.root && !absolute.startsWith(`${this.root}/`)) {
      throw coded('invalid_path', `"${relative}" leads outside ${this.root}`);
    }
  }

  // null where there is no such file.
  read(relative, encoding) {
    try {
      return fs.readFileSync(this.resolve(relative), encoding === null ? undefined : encoding);
    } catch (error) {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
      throw error;
    }
  }

  // The file holds the old or the new content, whatever happens.
  write(relative, content) {
    const target = this.resolve(relative);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    const draft = `${target}.${crypto.randomBytes(6).toString('hex')}.tmp`;
    const fd = fs.openSync(draft, 'wx', this.#modeOf(target));
    try {
      fs.writeFileSync(fd, content);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(draft, target);
    return true;
  }

  #modeOf(target) {
    try {
      return fs.statSync(target).mode & 0o777;
    } catch {
      return 0o644;
    }
  }

  exists(relative) {
    return fs.existsSync(this.resolve(relative));
  }

  // False where there was nothing.
  delete(relative) {
    const target = this.resolve(relative);
    if (target === this.root) throw coded('invalid_path', 'the work folder itself stays');
    if (!fs.lstatSync(target, { throwIfNoEntry: false })) return false;
    fs.rmSync(target, { recursive: true });
    return true;
  }

  // All files below the folder, relative to it, sorted.
  list(folder = '.') {
    const start = this.resolve(folder);
    const found = [];
    const visit = (dir, prefix) => {
      for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
        if (entry.isDirectory()) visit(path.join(dir, entry.name), `${prefix}${entry.name}/`);
        else found.push(prefix + entry.name);
        if (found.length > LISTED_MAX) {
          throw coded('too_many_files', `"${folder}" holds more than ${LISTED_MAX} files: list a folder below it`);
        }
      }
    };
    if (fs.existsSync(start)) visit(start, '');
    return found.sort();
  }
}

module.exports = { Files };
