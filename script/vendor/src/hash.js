// koreUtil.hash: createHash of Node, for the SHA family, over noble-hashes.
import { sha1 } from "@noble/hashes/legacy.js";
import { sha224, sha256, sha384, sha512 } from "@noble/hashes/sha2.js";

const algorithms = { sha1, sha224, sha256, sha384, sha512 };
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const latin1 = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const base64 = (bytes) => {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const three = (bytes[i] << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const letters = [18, 12, 6, 0].map((shift) => alphabet[(three >> shift) & 63]).join("");
    const left = bytes.length - i;
    text += left > 2 ? letters : letters.slice(0, left + 1) + "=".repeat(3 - left);
  }
  return text;
};
const writers = {
  hex: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
  base64,
  base64url: (bytes) => base64(bytes).replace(/=/g, "").replace(/\+/g, "-").replace(/\//g, "_"),
  latin1: (bytes) => String.fromCharCode(...bytes),
};
writers.binary = writers.latin1;
const readers = {
  utf8: (text) => latin1(unescape(encodeURIComponent(text.toWellFormed()))),
  "utf-8": (text) => readers.utf8(text),
  latin1,
  binary: latin1,
  hex: (text) => Uint8Array.from(text.match(/[0-9a-f]{2}/gi) ?? [], (pair) => Number.parseInt(pair, 16)),
};
const choose = (from, name, what) => {
  if (Object.hasOwn(from, name)) return from[name];
  throw new TypeError(`koreUtil.hash knows no ${what} ${name}: there are ${Object.keys(from).join(", ")}`);
};

// What stands for Node's Buffer.
class Digest extends Uint8Array {
  toString(encoding = "hex") {
    return choose(writers, encoding, "encoding")(this);
  }
}

class Hash {
  #state;
  constructor(algorithm) {
    this.#state = choose(algorithms, String(algorithm).toLowerCase().replace(/^sha-/, "sha"), "algorithm").create();
  }
  update(data, encoding = "utf8") {
    const bytes = typeof data === "string" ? choose(readers, encoding, "encoding")(data) : data;
    if (!(bytes instanceof Uint8Array)) throw new TypeError("koreUtil.hash takes a text or a Uint8Array");
    this.#state.update(bytes);
    return this;
  }
  digest(encoding) {
    const digest = Digest.from(this.#state.digest());
    return encoding === undefined ? digest : digest.toString(encoding);
  }
}

export default (algorithm) => new Hash(algorithm);
