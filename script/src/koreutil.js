// The libraries of `koreUtil`, as scripts of the platform know them. Evaluated when a script first uses one.
// `load` gives the function around a library, or an entry of a file of data as JSON.
const { parse } = JSON;

export default (load, koreUtil) => {
  const modules = new Map();
  const use = (name) => {
    const path = name.replace(/^\.\.?\//, "");
    if (!modules.has(path)) {
      const module = { exports: {} };
      modules.set(path, module);
      make(path, module);
    }
    return modules.get(path).exports;
  };
  const make = (path, module) => {
    if (path.startsWith("intl-")) {
      module.exports = parse(load(path));
    } else if (path.startsWith("locale/")) {
      const text = parse(load(`moment-${path.replace("locale", "locales")}`));
      if (text) new Function("module", "exports", "require", text)(module, module.exports, use);
    } else {
      load(path)(module, module.exports, use);
    }
  };

  // Names of lodash 3, which the platform's documentation still uses, in lodash 4.
  const formerly = {
    all: "every", any: "some", callback: "iteratee", collect: "map", contains: "includes", detect: "find",
    findWhere: "find", foldl: "reduce", foldr: "reduceRight", include: "includes", indexBy: "keyBy",
    methods: "functions", padLeft: "padStart", padRight: "padEnd", pairs: "toPairs", pluck: "map",
    select: "filter", sortByOrder: "orderBy", trimLeft: "trimStart", trimRight: "trimEnd", trunc: "truncate",
    unique: "uniq", where: "filter",
  };
  const lodash = () => {
    const _ = use("lodash");
    for (const [before, now] of Object.entries(formerly)) _[before] ??= _[now];
    return _;
  };
  // Both are one: `moment().tz(zone)` is written as well as `momenttz(moment(), zone)`. Zones are loaded by whoever
  // first uses them.
  const moment = () => {
    const made = use("moment");
    const holders = [made, made.fn];
    const keep = (holder) => (value) => {
      Object.defineProperty(holder, "tz", { value, writable: true, enumerable: true, configurable: true });
    };
    const zones = () => {
      for (const holder of holders) delete holder.tz;
      use("moment-timezone");
    };
    for (const holder of holders) {
      const get = () => { zones(); return holder.tz; };
      Object.defineProperty(holder, "tz", { get, set: keep(holder), enumerable: true, configurable: true });
    }
    return made;
  };
  const zoned = () => {
    const { moment } = koreUtil;
    const { tz } = moment;
    const made = (...words) => {
      const zone = words.at(-1);
      return typeof zone === "string" && tz.zone(zone) ? tz(...words) : moment(...words);
    };
    return Object.assign(made, moment);
  };
  // The class itself, with what stands beside it.
  const rrule = () => {
    const { RRule, RRuleSet, rrulestr } = use("rrule");
    return Object.assign(RRule, { RRule, RRuleSet, rrulestr });
  };
  const makers = {
    _: lodash, moment, momenttz: zoned, rrule,
    hash: () => use("hash").default,
    intl: () => use("intl").default,
    xml2js: () => use("xml2js"),
  };
  return (name) => makers[name]();
};
