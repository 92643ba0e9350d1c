//! One run of a script in an engine of its own.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rquickjs::context::EvalOptions;
use rquickjs::{
    CatchResultExt as _, CaughtError, Context, Ctx, Function, Module, Object, Runtime, Value,
};
use tokio::time::Instant;

use crate::job::{Fault, FaultKind, Received};
use crate::libraries::Shelf;

const CHECK_MEMORY: usize = 64 * 1024 * 1024;
const STACK_MAX: usize = 512 * 1024;
/// The longest message of a fault.
const MESSAGE_MAX: usize = 2_000;

/// Runs the script until it has come to its end or waits for something. The output is JSON
/// ([`crate::job::Output`]), unchecked: the script has had its hands on the engine that wrote it.
pub(crate) fn run(job: &Received) -> Result<String, Fault> {
    let internal = |error: rquickjs::Error| fault(FaultKind::Memory, error.to_string());
    let runtime = Runtime::new().map_err(internal)?;
    runtime.set_memory_limit(job.limits.memory);
    runtime.set_max_stack_size(STACK_MAX);
    let late = Rc::new(Cell::new(false));
    let deadline = Instant::now() + Duration::from_millis(job.limits.time_ms);
    let seen = Rc::clone(&late);
    runtime.set_interrupt_handler(Some(Box::new(move || {
        if Instant::now() >= deadline {
            seen.set(true);
        }
        seen.get()
    })));
    let shelf = Shelf::default();
    shelf.stand_in(&runtime);
    let context = Context::full(&runtime).map_err(internal)?;
    let ran = context.with(|ctx| drive(&ctx, job, &shelf, &late));
    if late.get() {
        let message = format!("it ran longer than {} ms", job.limits.time_ms);
        let line = ran.err().and_then(|fault| fault.line);
        return Err(Fault { kind: FaultKind::Time, message, line });
    }
    ran
}

/// Whether it is JavaScript, without running any of it.
pub fn check(name: &str, source: &str) -> Result<(), Fault> {
    let internal = |error: rquickjs::Error| fault(FaultKind::Memory, error.to_string());
    let runtime = Runtime::new().map_err(internal)?;
    runtime.set_memory_limit(CHECK_MEMORY);
    runtime.set_max_stack_size(STACK_MAX);
    let context = Context::full(&runtime).map_err(internal)?;
    context.with(|ctx| {
        // A module is compiled and not evaluated, however the text closes the function around it.
        let text = format!("export default async () => {{{source}\n}}");
        let name_in_engine = name.replace('\0', "");
        let made = Module::declare(ctx.clone(), name_in_engine, text).catch(&ctx);
        made.map(|_| ()).map_err(|error| of_caught(&error, name))
    })
}

fn options(name: &str) -> EvalOptions {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(name.replace('\0', ""));
    options
}

/// Starts the script and lets it go on while there is something to go on with.
fn drive(ctx: &Ctx<'_>, job: &Received, shelf: &Shelf, late: &Cell<bool>) -> Result<String, Fault> {
    let caught = |error: CaughtError<'_>| of_caught(&error, &job.name);
    let internal = |error: rquickjs::Error| fault(FaultKind::Memory, error.to_string());
    let boot = shelf.boot(ctx).map_err(internal)?;
    let load = shelf.loader(ctx).map_err(internal)?;
    let limits = Object::new(ctx.clone()).catch(ctx).map_err(caught)?;
    for (name, most) in [("messages", job.limits.messages), ("steps", job.limits.steps)] {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        limits.set(name, most).catch(ctx).map_err(caught)?;
    }
    let world: Object = boot.call((job.input.get(), limits, load)).catch(ctx).map_err(caught)?;
    let [watch, pump, finish] = ["watch", "pump", "finish"].map(|name| world.get(name));
    let (watch, pump, finish): (Function, Function, Function) = (
        watch.catch(ctx).map_err(caught)?,
        pump.catch(ctx).map_err(caught)?,
        finish.catch(ctx).map_err(caught)?,
    );
    // On one line with the script's first, so that line numbers stay.
    let wrapped = format!("(async () => {{{}\n}})()", job.source);
    let promise: Value =
        ctx.eval_with_options(wrapped, options(&job.name)).catch(ctx).map_err(caught)?;
    watch.call::<_, ()>((promise,)).catch(ctx).map_err(caught)?;
    loop {
        while !late.get() && ctx.execute_pending_job() {}
        if late.get() || !pump.call::<_, bool>(()).catch(ctx).map_err(caught)? {
            break;
        }
    }
    let text: String = finish.call(()).catch(ctx).map_err(caught)?;
    // The prelude gives a fault as "!" and what was thrown.
    match text.strip_prefix('!') {
        Some(thrown) => Err(of_thrown(thrown, &job.name)),
        None => Ok(text),
    }
}

#[derive(serde::Deserialize)]
struct Thrown {
    kind: FaultKind,
    message: String,
    #[serde(default)]
    stack: String,
}

fn fault(kind: FaultKind, message: String) -> Fault {
    Fault { kind, message, line: None }
}

fn of_thrown(json: &str, name: &str) -> Fault {
    match serde_json::from_str::<Thrown>(json) {
        Ok(Thrown { kind, message, stack }) => made(kind, &message, &stack, name),
        Err(_) => fault(FaultKind::Thrown, "it threw what cannot be shown".to_owned()),
    }
}

fn of_caught(error: &CaughtError<'_>, name: &str) -> Fault {
    match error {
        CaughtError::Exception(thrown) => {
            let message = thrown.message().unwrap_or_default();
            let stack = thrown.stack().unwrap_or_default();
            made(FaultKind::Thrown, &message, &stack, name)
        }
        CaughtError::Value(_) => fault(FaultKind::Thrown, "it threw what is no error".to_owned()),
        CaughtError::Error(error) => fault(FaultKind::Thrown, error.to_string()),
    }
}

fn made(kind: FaultKind, message: &str, stack: &str, name: &str) -> Fault {
    let kind = if message.contains("out of memory") { FaultKind::Memory } else { kind };
    let message = message.chars().take(MESSAGE_MAX).collect();
    Fault { kind, message, line: line(stack, name) }
}

/// The first place in the script that a stack names: `… (name:line:column)`.
fn line(stack: &str, name: &str) -> Option<u32> {
    let place = format!("{name}:");
    let (_, rest) = stack.split_once(&place)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
