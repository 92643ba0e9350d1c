//! How fast scripts run, without anything around them: `cargo run --release -p script --example speed`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use script::job::{Input, Job, Limits, Message, Outcome, Output};
use script::pool::{Config, Pool};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const RUNS: usize = 20_000;
const STEPS: usize = 40;

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|word| word == script::host::COMMAND) {
        return script::host::run(false);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(measure())) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn job(source: &str) -> Job {
    let message = Message { text: "hi".to_owned(), ..Message::default() };
    Job {
        name: "bot.js".to_owned(),
        source: source.to_owned(),
        input: Input { message, ..Input::default() },
        limits: Limits {
            memory: 32 << 20,
            time_ms: 1_000,
            output: 4 << 20,
            messages: 50,
            steps: 500,
        },
    }
}

async fn measure() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    let hosts = std::thread::available_parallelism()?.get();
    let program = PathBuf::from("/proc/self/exe");
    let pool = Pool::new(Config { program, hosts, best_effort: false });
    let mut keeping = JoinSet::new();
    keeping.spawn(pool.clone().keep(CancellationToken::new()));
    let hello = job("say('hello ' + message)");
    for _ in 0..1_000 {
        run(&pool, &hello).await?;
    }
    let (p50, p99) = alone(&pool, &hello).await?;
    writeln!(out, "one after another: p50 {p50:?}, p99 {p99:?}")?;
    let began = Instant::now();
    let mut runners = JoinSet::new();
    for _ in 0..hosts * 2 {
        let (pool, hello) = (pool.clone(), hello.clone());
        runners.spawn(async move {
            let mut done = 0;
            for _ in 0..RUNS / (hosts * 2) {
                done += usize::from(run(&pool, &hello).await.is_ok());
            }
            done
        });
    }
    let done: usize = runners.join_all().await.into_iter().sum();
    let took = began.elapsed();
    let rate = f64::from(u32::try_from(done)?) / took.as_secs_f64();
    writeln!(out, "{done} runs on {hosts} hosts in {took:?}: {rate:.0} a second")?;
    dialog(&pool, &mut out).await?;
    libraries(&pool, &mut out).await
}

/// Scripts that use a library of `koreUtil`, one after another; a host compiles it at its first use.
async fn libraries(
    pool: &Pool,
    out: &mut std::io::Stdout,
) -> Result<(), Box<dyn std::error::Error>> {
    for source in [
        "say('hello ' + message)",
        "say(koreUtil._.chunk([1, 2, 3], 2).length)",
        "say(koreUtil.hash('sha256').update(message).digest('hex'))",
        "say(koreUtil.moment().format())",
        "say(koreUtil.moment().locale('de').format('LLLL'))",
        "say(koreUtil.momenttz().tz('Asia/Tokyo').format())",
        "say(new koreUtil.rrule({freq: koreUtil.rrule.DAILY, count: 3}).all().length)",
        "koreUtil.xml2js.parseString('<a>1</a>', (error, found) => say(found.a))",
        "say(koreUtil.intl.NumberFormat('de').format(1.5))",
        "say(koreUtil.intl.DateTimeFormat('en').format())",
    ] {
        let job = job(source);
        let began = Instant::now();
        run(pool, &job).await?;
        let first = began.elapsed();
        let (p50, p99) = alone(pool, &job).await?;
        writeln!(out, "first {first:?}, p50 {p50:?}, p99 {p99:?}: {source}")?;
    }
    Ok(())
}

async fn run(pool: &Pool, job: &Job) -> Result<Output, script::pool::Error> {
    pool.run(job, Instant::now() + Duration::from_secs(10)).await
}

async fn alone(pool: &Pool, job: &Job) -> Result<(Duration, Duration), script::pool::Error> {
    let mut times = Vec::new();
    for _ in 0..1_000 {
        let began = Instant::now();
        run(pool, job).await?;
        times.push(began.elapsed());
    }
    times.sort();
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

/// A dialog of many questions: its first turn and its last, each the median of a hundred.
async fn dialog(pool: &Pool, out: &mut std::io::Stdout) -> Result<(), Box<dyn std::error::Error>> {
    let source = format!(
        "const all = []; for (let i = 0; i < {STEPS}; i++) all.push(await ask('Question ' + i)); say(all.length)"
    );
    let mut job = job(&source);
    let mut first = Duration::ZERO;
    for step in 0..=STEPS {
        let mut times = Vec::new();
        let mut output = None;
        for _ in 0..100 {
            let began = Instant::now();
            output = Some(run(pool, &job).await?);
            times.push(began.elapsed());
        }
        times.sort();
        let median = times[times.len() / 2];
        let Some(output) = output else { continue };
        if step == 0 {
            first = median;
        }
        if output.done {
            writeln!(
                out,
                "a dialog of {STEPS} questions: first turn {first:?}, last turn {median:?}"
            )?;
            return Ok(());
        }
        let round = output.round + 1;
        job.input.journal.extend(output.journal);
        if let Some(open) =
            output.open.first().and_then(|open| job.input.journal.get_mut(open.step))
        {
            let answer = Message { text: format!("answer {step}"), ..Message::default() };
            (open.round, open.result) = (Some(round), Some(Outcome::Answer(answer)));
        }
    }
    Ok(())
}
