// Types of what a script can use, for editors. See scripts.md.
// In a script: /// <reference path="switchhook.d.ts" />

export {};

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
/** A text, or a template as it goes to the client. */
type Message = string | number | boolean | { [key: string]: Json };
/** A text with the key by which a channel may replace it (overrides). */
type Prompt = string | { key: string; message: string };

/** A postback (a text is its own payload), or a link. Other words pass as they are. */
type Button = string | { title: string; payload?: string; [word: string]: Json | undefined } | { title: string; url: string };
type Reply = string | { title: string; payload?: string; image_url?: string };
type Choice = string | { title: string; value: string };
interface Card {
  title: string;
  subtitle?: string;
  image_url?: string;
  default_action?: { type: "web_url"; url: string };
  /** At most three on a card of a carousel, one on an element of a list. */
  buttons?: Button[];
}
/** Words of the payload that are not named elsewhere. */
type More = { [word: string]: Json };
type Made = { [word: string]: Json };

interface AskOptions<T = string> {
  /** A pattern, or a function: true or false, or the value that is returned instead of the text. */
  validate?: RegExp | ((answer: string) => boolean | T | undefined | null | Promise<boolean | T | undefined | null>);
  /** How often the question is repeated after a wrong answer; then `RetriesError` is thrown. Usually 2. */
  retries?: number;
  /** What is said instead of the prompt when it is repeated. */
  retry?: Message;
  /** Seconds. An answer that comes later throws `TimeoutError`. */
  timeout?: number;
}

interface Store {
  [key: string]: any;
  /** `minutes`: until it is gone. */
  put(key: string, value: Json, minutes?: number): void;
  get(key: string): any;
  delete(key: string): boolean;
}

/** Read as of the start of the turn; changed with its commit. */
interface WiderStore extends Store {
  /** Adds a whole number to what stands there then. Returns this turn's view of the sum. */
  increment(key: string, by?: number): number;
}

interface Context {
  intent: string;
  entities: { [name: string]: any };
  traits: any[];
  history: any[];
  currentLanguage: string;
  currentTags: { tags: string[] };
  UserQuery: { originalUserQuery: string };
  session: {
    BotUserSession: Store;
    UserSession: WiderStore;
    BotContext: WiderStore;
    EnterpriseContext: WiderStore;
    UserContext: { readonly [key: string]: any; get(key: string): any };
  };
  readonly BotUserSession: Store;
  readonly UserSession: WiderStore;
  readonly BotContext: WiderStore;
  readonly EnterpriseContext: WiderStore;
  readonly UserContext: { readonly [key: string]: any; get(key: string): any };
}

interface Response {
  readonly ok: boolean;
  readonly status: number;
  readonly url: string;
  /** The body was longer than is read. */
  readonly truncated: boolean;
  readonly headers: { readonly [name: string]: any; get(name: string): string | null };
  text(): Promise<string>;
  json(): Promise<any>;
}

interface Hash {
  update(data: string | Uint8Array, encoding?: "utf8" | "latin1" | "hex"): Hash;
  digest(encoding: Encoding): string;
  digest(): Uint8Array & { toString(encoding?: Encoding): string };
}
type Encoding = "hex" | "base64" | "base64url" | "latin1";

interface FormatOf<T> {
  (locales?: string | string[], options?: object): Format<T>;
  new (locales?: string | string[], options?: object): Format<T>;
  supportedLocalesOf(locales: string | string[], options?: object): string[];
}
interface Format<T> {
  format(value: T): string;
  formatToParts(value: T): { type: string; value: string }[];
  resolvedOptions(): any;
}

declare global {
  /** What the user has said last. */
  const message: string;
  const context: Context;
  /** The bot's variables. */
  const env: { readonly [name: string]: string };
  const contextTags: { add(tag: string): void };
  /** Makes the protocol's templates, to be said. */
  const template: {
    button(text: string, buttons: Button[], more?: More): Made;
    quickReplies(text: string, replies: Reply[], more?: More): Made;
    list(elements: Card[], buttons?: Button[], more?: More): Made;
    carousel(elements: Card[], more?: More): Made;
    /** A column is its title, or its title and `left`, `center` or `right`; a row its values. */
    table(text: string, columns: (string | string[])[], rows: (string | number)[][], more?: More): Made;
    miniTable(text: string, elements: { primary: string[][]; additional?: string[][] }[], more?: More): Made;
    pieChart(text: string, elements: { title: string; value: string | number; displayValue?: string }[], more?: More): Made;
    lineChart(text: string, axis: string[], elements: { title: string; values: (string | number)[]; displayValues?: string[] }[], more?: More): Made;
    barChart(text: string, axis: string[], elements: { title: string; values: (string | number)[]; displayValues?: string[] }[], more?: More): Made;
    feedback(text: string, view: "NPS" | "CSAT" | "ThumbsUpDown", more?: More): Made;
    dropdown(heading: string, elements: Choice[], more?: More): Made;
    multiSelect(elements: Choice[], buttons: Button[], more?: More): Made;
    likeDislike(): Made;
    date(title: string, text: string, format?: string): Made;
    image(url: string): Made;
    audio(url: string): Made;
    video(url: string): Made;
    error(text: string, color?: string): Made;
  };
  const koreDebugger: { log(...words: any[]): void };
  const koreUtil: {
    /** lodash 4, with the names that it had in its third release. */
    _: any;
    /** A hash of the SHA family, as of Node: "sha1", "sha224", "sha256", "sha384", "sha512". */
    hash(algorithm: string): Hash;
    /** Numbers and dates as a language writes them. */
    intl: {
      NumberFormat: FormatOf<number | bigint>;
      DateTimeFormat: FormatOf<Date | number>;
      getCanonicalLocales(locales?: string | string[]): string[];
    };
    /** moment, with the zones of moment-timezone. */
    moment: any;
    /** A moment in a zone: `momenttz(when, "Europe/Zurich")`. */
    momenttz: any;
    /** `RRule` of rrule; `RRuleSet` and `rrulestr` stand on it. */
    rrule: any;
    xml2js: {
      Builder: new (options?: object) => { buildObject(object: any): string };
      Parser: new (options?: object) => any;
      parseString(xml: string, done: (error: Error | null, result: any) => void): void;
      parseString(xml: string, options: object, done: (error: Error | null, result: any) => void): void;
      parseStringPromise(xml: string, options?: object): Promise<any>;
      [name: string]: any;
    };
    getSessionId(): string;
    /** The session ends with this turn; the next message begins another. */
    closeConversationSession(): void;
    /** Always empty: there are no questions of the platform's own. */
    getCurrentOptions(): { [name: string]: any };
    /** Always empty: there is no language understanding that could be in doubt. */
    getAmbiguousIntents(): { intents: any[]; cause: string; userInput: string };
    /** Does nothing: no tokens are kept. */
    ClearAuthProfiles(names: string[]): void;
    ClearAllAuthProfiles(): void;
    /** Throws: there is no translation service. */
    autoTranslate(text: string, language?: string): never;
    /** Throws: there are no forms. */
    getFormDefinition(): never;
  };

  /** `{key, message}`: a message that a channel may replace by its key (overrides). */
  function say(message: Message): Promise<void>;
  function print(text: string): void;
  function ask<T = string>(prompt: Message, options?: AskOptions<T>): Promise<T>;
  function confirm(prompt: Prompt, options?: AskOptions & { yes?: string; no?: string }): Promise<boolean>;
  function choose<T = string>(
    prompt: Prompt,
    options: (string | { title: string; value?: T })[],
    more?: AskOptions,
  ): Promise<T>;
  function fetch(
    url: string,
    options?: { method?: string; headers?: { [name: string]: string }; body?: string },
  ): Promise<Response>;
  function endOfTask(reason?: string, name?: string, id?: string): void;
  /** Puts in what stands in {{context.entities.city}} or {{env.NAME}}. */
  function render(text: string): string;
}
