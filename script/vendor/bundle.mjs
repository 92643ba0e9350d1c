// Makes `dist/` and `licences/` from what package-lock.json names: `npm ci && npm run bundle`.
// What comes out is committed; nothing is fetched when Switchhook is built.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import vm from "node:vm";
import { build, transform } from "esbuild";

const LOCALES =
  "ar cs da de de-AT de-CH el en en-AU en-CA en-GB en-IN es es-MX fi fr fr-CA he hi hu id it ja ko nb nl pl pt pt-PT ro ru sv th tr uk vi zh zh-Hant".split(" ");
const AS_THEY_ARE = {
  "lodash.js": "lodash/lodash.min.js",
  "moment.js": "moment/min/moment.min.js",
  "moment-timezone.js": "moment-timezone/builds/moment-timezone-with-data-1970-2030.min.js",
  "rrule.js": "rrule/dist/es5/rrule.min.js",
};

for (const folder of ["dist", "licences"]) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
}
const packages = { "lodash.js": ["lodash"], "moment.js": ["moment"] };
packages["moment-timezone.js"] = ["moment-timezone"];
packages["rrule.js"] = ["rrule", "tslib"];
for (const [name, path] of Object.entries(AS_THEY_ARE)) copyFileSync(`node_modules/${path}`, `dist/${name}`);

const pluralData = {
  name: "intl-plural-data",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^intl-plural-data$/ }, ({ path }) => ({ path, namespace: "plural" }));
    const there = LOCALES.filter((name) => existsSync(`node_modules/@formatjs/intl-pluralrules/locale-data/${name}.js`));
    const contents = there.map((name) => `import "@formatjs/intl-pluralrules/locale-data/${name}.js";`).join("\n");
    onLoad({ filter: /.*/, namespace: "plural" }, () => ({ contents, resolveDir: "." }));
  },
};
for (const name of ["hash", "intl", "xml2js"]) {
  const { metafile } = await build({
    entryPoints: [`src/${name}.js`],
    outfile: `dist/${name}.js`,
    bundle: true,
    format: "cjs",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2022",
    minify: true,
    legalComments: "none",
    metafile: true,
    inject: name === "intl" ? ["src/intl-global.js"] : [],
    alias: { timers: "./src/xml2js-timers.js", stream: "./src/nothing.js", string_decoder: "./src/nothing.js" },
    plugins: [pluralData],
  });
  const from = Object.keys(metafile.inputs).map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]);
  packages[`${name}.js`] = [...new Set(from.filter(Boolean))].sort();
}

// An entry for each name, one a line.
const keep = (file, entries, from) => {
  const lines = Object.entries(entries).map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  writeFileSync(`dist/${file}`, `{\n${lines.join(",\n")}\n}\n`);
  packages[file] = from;
};
// Of a locale what numbers and dates are written with.
const data = (kind, locale) => {
  let found;
  const Format = { __addLocaleData: (given) => { found = given.data; } };
  const code = readFileSync(`node_modules/@formatjs/intl-${kind}/locale-data/${locale}.js`, "utf8");
  vm.runInNewContext(code, { Intl: { NumberFormat: Format, DateTimeFormat: Format } });
  return found;
};
// Currencies that somebody pays with. Of others the code is written.
const territories = JSON.parse(readFileSync("node_modules/cldr-core/supplemental/currencyData.json", "utf8")).supplemental.currencyData.region;
const used = Object.values(territories).flat().flatMap(Object.entries);
const current = new Set(used.filter(([, { _to, _tender }]) => !_to && _tender !== "false").map(([code]) => code));
const numbers = {}, dates = {};
for (const locale of LOCALES) {
  const { intervalFormats, timeZoneName, ...date } = data("datetimeformat", locale);
  date.intervalFormats = {};
  date.timeZoneName = { UTC: timeZoneName.UTC };
  const number = data("numberformat", locale);
  // Of the ways to write digits the usual ones and ours.
  const digits = [...new Set([number.nu[0], number.numbers.nu[0], "latn"])];
  number.nu = number.numbers.nu = date.nu = digits;
  for (const name of ["symbols", "percent", "decimal", "currency", "aliases"]) {
    const part = number.numbers[name] ?? {};
    for (const system of Object.keys(part)) if (!digits.includes(system)) delete part[system];
  }
  for (const code of Object.keys(number.currencies)) if (!current.has(code)) delete number.currencies[code];
  [numbers[locale], dates[locale]] = [number, date];
}
keep("intl-numbers.json", numbers, ["@formatjs/intl-numberformat", "cldr-core"]);
keep("intl-dates.json", dates, ["@formatjs/intl-datetimeformat", "cldr-core"]);

// moment's locales are texts of modules.
const languages = {};
for (const file of readdirSync("node_modules/moment/locale")) {
  const code = readFileSync(`node_modules/moment/locale/${file}`, "utf8");
  languages[file.replace(".js", "")] = (await transform(code, { minify: true, target: "es2022", legalComments: "none" })).code;
}
keep("moment-locales.json", languages, ["moment"]);

// What is in which file, under which licence; and the hashes that a test compares.
const about = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
const rows = new Map();
for (const name of [...new Set(Object.values(packages).flat())].sort()) {
  const text = readdirSync(`node_modules/${name}`).find((file) => /^licen[cs]e/i.test(file));
  const file = `${name.replace("@", "").replace("/", "-")}.txt`;
  copyFileSync(`node_modules/${name}/${text}`, `licences/${file}`);
  rows.set(name, `| ${name} | ${about(name).version} | ${about(name).license} | [${file}](licences/${file}) |`);
}
const files = Object.entries(packages).map(([file, names]) => `| ${file} | ${names.join(", ")} |`);
writeFileSync("THIRD-PARTY.md", `# Third-party code in scripts' libraries

Written by \`bundle.mjs\`. Everything in \`dist/\` is made of these npm packages and of \`src/\`.

| package | version | licence | text |
|---|---|---|---|
${[...rows.values()].join("\n")}

| file of dist/ | packages |
|---|---|
${files.join("\n")}
`);
const sums = Object.keys(packages).sort().map((file) => {
  const hash = createHash("sha256").update(readFileSync(`dist/${file}`)).digest("hex");
  return `${hash}  dist/${file}`;
});
writeFileSync("SHA256SUMS", sums.join("\n") + "\n");
