// koreUtil.intl: NumberFormat and DateTimeFormat of FormatJS. Data of a locale is loaded when it is first asked for.
import "./intl-base.js";
import "intl-plural-data";
import { Intl } from "./intl-global.js";

const { getCanonicalLocales, NumberFormat, DateTimeFormat } = Intl;

// Data of the locale, or of what it is a variety of. Whether there are any.
const load = (Format, file, known, locale) => {
  if (!known.has(locale)) {
    const path = `${file}/${locale}`;
    const data = require(path);
    known.set(locale, Boolean(data));
    if (data) Format.__addLocaleData({ locale, data });
  }
  const end = locale.lastIndexOf("-");
  const wider = end > 0 && load(Format, file, known, locale.slice(0, end));
  return wider || known.get(locale);
};
// The format with data of the locales that are asked for, or of English.
const format = (Format, file) => {
  const known = new Map();
  const supply = (locales) => {
    const found = getCanonicalLocales(locales).map((locale) => load(Format, file, known, locale.split("-u-")[0]));
    if (!found.includes(true)) load(Format, file, known, "en");
  };
  const made = function (locales, options) {
    supply(locales);
    return new Format(locales, options);
  };
  made.prototype = Format.prototype;
  made.supportedLocalesOf = (locales, options) => {
    supply(locales);
    return Format.supportedLocalesOf(locales, options);
  };
  return made;
};

// Otherwise the first locale that is loaded.
NumberFormat.__defaultLocale = DateTimeFormat.__defaultLocale = "en";
DateTimeFormat.__setDefaultTimeZone("UTC");
// Their data is not there.
for (const name of ["formatRange", "formatRangeToParts"]) delete DateTimeFormat.prototype[name];

const numbers = format(NumberFormat, "intl-numbers");
// Dates are written with numbers.
Intl.NumberFormat = numbers;

export default {
  NumberFormat: numbers,
  DateTimeFormat: format(DateTimeFormat, "intl-dates"),
  getCanonicalLocales,
};
