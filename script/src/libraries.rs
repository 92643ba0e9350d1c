//! What scripts' worlds are made of: the prelude, and the libraries of `koreUtil`, which are loaded when a
//! script first uses one (`vendor/README.md`). Compiled once in a host's life; every run evaluates its own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::OnceLock;

use rquickjs::loader::bundle::{Bundle, ScaBundleData};
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::{
    Context, Ctx, Error, FromJs, Function, IntoJs as _, Module, Object, Result, Runtime, Value,
    WriteOptions,
};
use serde_json::value::RawValue;

/// The world of scripts: a function of the input that gives back what the run is driven with.
const PRELUDE: &str = "prelude";

type Code = ScaBundleData<&'static [u8]>;

/// A text that is a module, or that becomes one.
struct Part {
    name: &'static str,
    shape: Shape,
    text: &'static str,
    compiled: OnceLock<Code>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A module with a default export.
    Module,
    /// What Node and bundlers take for a module: `module`, `exports` and `require` are around it.
    Wrapped,
}

const fn part(name: &'static str, shape: Shape, text: &'static str) -> Part {
    Part { name, shape, text, compiled: OnceLock::new() }
}

macro_rules! vendored {
    ($($name:literal),* $(,)?) => {
        [
            part(PRELUDE, Shape::Module, include_str!("prelude.js")),
            part("koreutil", Shape::Module, include_str!("koreutil.js")),
            $(part($name, Shape::Wrapped, include_str!(concat!("../vendor/dist/", $name, ".js"))),)*
        ]
    };
}

static PARTS: [Part; 9] =
    vendored!("hash", "intl", "lodash", "moment", "moment-timezone", "rrule", "xml2js",);

/// Entries of a JSON object that are given out one by one.
struct Data {
    /// What stands before an entry's name.
    prefix: &'static str,
    text: &'static str,
    entries: OnceLock<BTreeMap<&'static str, &'static RawValue>>,
}

macro_rules! data {
    ($name:literal) => {
        Data {
            prefix: concat!($name, "/"),
            text: include_str!(concat!("../vendor/dist/", $name, ".json")),
            entries: OnceLock::new(),
        }
    };
}

/// How numbers and dates are written, by locale.
static DATA: [Data; 3] = [data!("intl-numbers"), data!("intl-dates"), data!("moment-locales")];

impl Data {
    /// The entry of that name as JSON, `null` where there is none.
    fn find(name: &str) -> Option<&'static str> {
        let (data, entry) = DATA
            .iter()
            .find_map(|data| name.strip_prefix(data.prefix).map(|entry| (data, entry)))?;
        Some(data.entries().get(entry).map_or("null", |entry| entry.get()))
    }

    fn entries(&self) -> &BTreeMap<&'static str, &'static RawValue> {
        // What is no JSON has no entries; a test reads them all.
        self.entries.get_or_init(|| serde_json::from_str(self.text).unwrap_or_default())
    }
}

/// What there is: the file, and the entry's name.
#[cfg(test)]
pub(crate) fn entries() -> impl Iterator<Item = (&'static str, &'static str)> {
    DATA.iter().flat_map(|data| data.entries().keys().map(|name| (data.prefix, *name)))
}

impl Part {
    fn find(name: &str) -> Option<&'static Self> {
        PARTS.iter().find(|part| part.name == name)
    }

    /// The part, compiled once in this process: to parse it would take longer than most scripts run.
    fn code(&self) -> Result<Code> {
        if let Some(code) = self.compiled.get() {
            return Ok(code);
        }
        let text = match self.shape {
            Shape::Module => self.text.to_owned(),
            Shape::Wrapped => {
                format!("export default (module, exports, require) => {{\n{}\n}};", self.text)
            }
        };
        let options =
            WriteOptions { strip_source: true, strip_debug: true, ..WriteOptions::default() };
        let context = Context::full(&Runtime::new()?)?;
        let code = context.with(|ctx| Module::declare(ctx, self.name, text)?.write(options))?;
        let code: &'static [u8] = code.leak();
        Ok(self.compiled.get_or_init(|| vec![(self.name, code)].leak()))
    }
}

/// The way to the parts. It is shut while a script runs: there are no modules for scripts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    open: Rc<Cell<bool>>,
}

impl Shelf {
    /// Lets the runtime find the parts, and nothing else.
    pub(crate) fn stand_in(&self, runtime: &Runtime) {
        runtime.set_loader(self.clone(), self.clone());
    }

    /// The prelude's function.
    pub(crate) fn boot<'js>(&self, ctx: &Ctx<'js>) -> Result<Function<'js>> {
        self.take(ctx, PRELUDE)
    }

    /// For the prelude: gives a library's function by its name, or an entry of data as JSON.
    pub(crate) fn loader<'js>(&self, ctx: &Ctx<'js>) -> Result<Function<'js>> {
        let lent = self.clone();
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, name: String| -> Result<Value<'js>> {
            match Data::find(&name) {
                Some(json) => json.into_js(&ctx),
                None => lent.take(&ctx, &name),
            }
        })
    }

    fn take<'js, T: FromJs<'js>>(&self, ctx: &Ctx<'js>, name: &str) -> Result<T> {
        self.open.set(true);
        // Parts only make functions when they are evaluated: nothing of a script's runs in here.
        let module = Module::import(ctx, name).and_then(|promise| promise.finish::<Object>());
        self.open.set(false);
        module?.get("default")
    }
}

impl Resolver for Shelf {
    fn resolve<'js>(
        &mut self,
        _ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        _attributes: Option<ImportAttributes<'js>>,
    ) -> Result<String> {
        if self.open.get() && Part::find(name).is_some() {
            return Ok(name.to_owned());
        }
        Err(Error::new_resolving(base, name))
    }
}

impl Loader for Shelf {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        attributes: Option<ImportAttributes<'js>>,
    ) -> Result<Module<'js>> {
        let part = Part::find(name).ok_or_else(|| Error::new_loading(name))?;
        Bundle(part.code()?).load(ctx, name, attributes)
    }
}
