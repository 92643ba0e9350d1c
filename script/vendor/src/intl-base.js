import { PluralRules } from "@formatjs/intl-pluralrules";
import { NumberFormat } from "@formatjs/intl-numberformat";
import { DateTimeFormat } from "@formatjs/intl-datetimeformat";
import { Intl } from "./intl-global.js";

// FormatJS has both of these with all old names and likely scripts of all languages: most of its size. Here a tag
// must be well-formed, and stands for itself.
const WELL_FORMED =
  /^[a-z]{2,3}(-[a-z]{4})?(-([a-z]{2}|\d{3}))?(-([a-z\d]{5,8}|\d[a-z\d]{3}))*(-[a-wyz\d](-[a-z\d]{2,8})+)*(-x(-[a-z\d]{1,8})+)?$/i;
const canonical = (tag) => {
  if (!WELL_FORMED.test(tag)) throw new RangeError(`Incorrect locale information provided: ${tag}`);
  const parts = String(tag).toLowerCase().split("-");
  const single = parts.findIndex((part) => part.length === 1);
  const written = (part, i) => {
    if (i === 0 || (single >= 0 && i > single)) return part;
    if (part.length === 2) return part.toUpperCase();
    return /^[a-z]{4}$/.test(part) ? part[0].toUpperCase() + part.slice(1) : part;
  };
  return parts.map(written).join("-");
};
const getCanonicalLocales = (locales) => {
  if (locales === undefined) return [];
  return [...new Set((typeof locales === "string" ? [locales] : Array.from(locales)).map(canonical))];
};
class Locale {
  constructor(tag) {
    this.tag = canonical(String(tag));
    const [language, ...parts] = this.tag.split("-u-")[0].split("-");
    this.language = language;
    this.script = parts.find((part) => /^[A-Z][a-z]{3}$/.test(part));
    this.region = parts.find((part) => /^([A-Z]{2}|\d{3})$/.test(part));
  }
  maximize() { return this; }
  minimize() { return this; }
  toString() { return this.tag; }
}

Object.assign(Intl, { getCanonicalLocales, Locale, PluralRules, NumberFormat, DateTimeFormat });
