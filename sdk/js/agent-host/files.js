'use strict';
// The files below the work folder. No path leads outside, by ".." or through a link.

const fs = require('node:fs');
const path = require('node:path');
const { coded } = require('./errors');

const LISTED_MAX = 100_000;
const LINKS_MAX = 40; // in a chain, as the kernel counts

const isMissing = (error) => error.code === 'ENOENT' || error.code === 'ENOTDIR';

// Makes the names in a folder durable, and those in the folders above it up to `last`.
function syncFolders(folder, last) {
  const fd = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  if (folder !== last) syncFolders(path.dirname(folder), last);
}

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
    this.#requireReallyInside(absolute, relative, LINKS_MAX);
    return absolute;
  }

  // Follows the deepest part of the path that exists. A link to what is not there yet exists, too.
  #requireReallyInside(absolute, relative, linksLeft) {
    this.#requireInside(absolute, relative);
    for (let at = absolute; ; at = path.dirname(at)) {
      try {
        this.#requireInside(fs.realpathSync(at), relative);
        return;
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
      const link = this.#targetOf(at);
      if (link === null) continue;
      if (linksLeft === 0) throw coded('invalid_path', `"${relative}" is a chain of links`);
      const target = path.resolve(path.dirname(at), link, path.relative(at, absolute));
      this.#requireReallyInside(target, relative, linksLeft - 1);
      return;
    }
  }

  // null for what is no link.
  #targetOf(absolute) {
    try {
      return fs.readlinkSync(absolute);
    } catch {
      return null;
    }
  }

  // The absolute path of something in the work folder, not of the folder itself.
  #resolveEntry(relative) {
    const absolute = this.resolve(relative);
    if (absolute === this.root) {
      throw coded('invalid_path', `"${relative}" is the work folder itself`);
    }
    return absolute;
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
      if (isMissing(error)) return null;
      throw error;
    }
  }

  // The file holds the old or the new content, whatever happens.
  write(relative, content) {
    const target = this.#resolveEntry(relative);
    const folder = path.dirname(target);
    const made = fs.mkdirSync(folder, { recursive: true }); // The first one that was not there.
    const { randomBytes } = require('node:crypto');
    const draft = path.join(folder, `.cellar-${randomBytes(8).toString('hex')}.tmp`);
    const fd = fs.openSync(draft, 'wx', this.#modeOf(target));
    try {
      try {
        fs.writeFileSync(fd, content);
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
      fs.renameSync(draft, target);
      syncFolders(folder, made === undefined ? folder : path.dirname(made));
    } catch (error) {
      fs.rmSync(draft, { force: true });
      throw error;
    }
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
    const target = this.#resolveEntry(relative);
    if (!fs.lstatSync(target, { throwIfNoEntry: false })) return false;
    fs.rmSync(target, { recursive: true });
    const folder = path.dirname(target);
    syncFolders(folder, folder);
    return true;
  }

  // All files below the folder, relative to it, sorted; links are named, not followed.
  list(folder) {
    const found = [];
    let seen = 0;
    const visit = (dir, prefix) => {
      for (const entry of this.#entriesOf(dir)) {
        seen += 1;
        if (seen > LISTED_MAX) {
          throw coded('too_many_files',
            `"${folder}" holds more than ${LISTED_MAX} entries: list a folder below it`);
        }
        if (entry.isDirectory()) visit(path.join(dir, entry.name), `${prefix}${entry.name}/`);
        else found.push(prefix + entry.name);
      }
    };
    visit(this.resolve(folder), '');
    return found.sort();
  }

  // A folder may go while it is listed: commands run at the same time.
  #entriesOf(dir) {
    try {
      return fs.readdirSync(dir, { withFileTypes: true });
    } catch (error) {
      if (error.code === 'ENOENT') return [];
      throw error;
    }
  }
}

module.exports = { Files };
