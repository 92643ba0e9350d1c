//! Faults of the product's own processes.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use testkit::system::Process;
use testkit::{lapse, wait};
use tokio::time::Instant;

use super::{Nemesis, Struck};
use crate::rig;

/// How long the balancer goes on routing to a process after its SIGTERM.
const STILL_ROUTED: Duration = Duration::from_secs(3);
/// How long a dispatcher may be without a turn before it cannot be frozen in the middle of one.
const BUSY_MAX: Duration = Duration::from_secs(20);
/// How long a woken process may take for its late writes.
const LATE_MAX: Duration = Duration::from_secs(5);
/// They are counted when no more of them have come for so long.
const LATE_REST: Duration = Duration::from_millis(200);
const ROOMS: [&str; 3] = ["ingress", "dispatcher", "deliverer"];
const SETTLED: Duration = Duration::from_secs(2);
const BETWEEN: &str = "the load between the steps of a change of scale";

/// A refused commit: the conversation had moved on.
const REFUSED: &str = r#"switchhook_dispatcher_commits_total{result="missed"}"#;
/// Turns whose bot runs now.
const RUNNING: &str = "switchhook_dispatcher_permits_in_use";

impl Nemesis<'_> {
    fn alive(&self, room: &str) -> Vec<&Process> {
        self.rig.system.room(room).into_iter().filter(|process| process.alive()).collect()
    }

    pub(super) async fn kill(&mut self) -> Result<Struck> {
        let room = ROOMS[self.chance.below(ROOMS.len())];
        let (n, dead) = (self.chance.draw(), self.pause(200, 2000));
        let processes = self.alive(room);
        let process = pick(&processes, n)?;
        process.kill9();
        lapse(dead, "how long it is dead").await;
        process.restart().await?;
        Ok(Struck::of(process.name()))
    }

    pub(super) async fn freeze(&mut self) -> Result<Struck> {
        let (n, lasts) =
            (self.chance.draw(), self.chance.between(self.freeze, self.freeze * 3 / 2));
        let processes = self.alive("dispatcher");
        let mut nth = n;
        // One that owns partitions: a standby holds no turn.
        let busy = wait("a dispatcher in the middle of a turn", BUSY_MAX, || {
            let process = pick(&processes, nth);
            nth = nth.wrapping_add(1);
            async {
                let process = process?;
                let page = process.admin("/metrics").await?.1;
                ensure!(read(&page, RUNNING) > 0, "{} runs no turn", process.name());
                process.freeze(true)?;
                Ok((process, read(&page, REFUSED)))
            }
        });
        let (process, before) = busy.await?;
        let again = self.journal.again();
        lapse(lasts, "how long it is frozen").await;
        let taken_over = self.journal.again() - again;
        process.freeze(false)?;
        let seen = Cell::new((0, Instant::now()));
        let late = wait("late writes that are refused", LATE_MAX, || async {
            let page = process.admin("/metrics").await?.1;
            let refused = read(&page, REFUSED).saturating_sub(before);
            if refused != seen.get().0 {
                seen.set((refused, Instant::now()));
            }
            ensure!(refused > 0 && seen.get().1.elapsed() >= LATE_REST, "{refused} so far");
            Ok(refused)
        });
        // It may have had none to make.
        let refused = late.await.unwrap_or(seen.get().0);
        let target = format!("{}, {} ms", process.name(), lasts.as_millis());
        let (refused, taken_over) = (Some(refused), Some(taken_over));
        Ok(Struck { target, refused, taken_over, exit: None })
    }

    /// As a power cut of all machines but those of the engines.
    pub(super) async fn together(&mut self) -> Result<Struck> {
        let processes = self.rig.system.processes();
        for process in processes {
            process.kill9();
        }
        let started = processes.iter().map(testkit::system::Process::restart);
        futures_util::future::try_join_all(started).await?;
        Ok(Struck::of(format!("{} processes", processes.len())))
    }

    pub(super) async fn scale(&mut self) -> Result<Struck> {
        let room = |name| self.rig.system.room(name);
        let pairs: Vec<_> = room("dispatcher").into_iter().zip(room("deliverer")).collect();
        let [first, others @ ..] = &pairs[..] else { bail!("there is nothing to scale") };
        start(*first).await?;
        let mut exit = Duration::ZERO;
        for pair in others {
            exit = exit.max(stop(*pair).await?);
        }
        lapse(SETTLED, BETWEEN).await;
        for pair in others {
            start(*pair).await?;
        }
        lapse(SETTLED, BETWEEN).await;
        if let Some(last) = others.last() {
            exit = exit.max(stop(*last).await?);
        }
        let target = "dispatchers and deliverers, 1 to 3 to 2".to_owned();
        Ok(Struck { target, exit: Some(exit), ..Struck::default() })
    }

    /// Starts again what a fault has left out.
    pub async fn complete(&self) -> Result<()> {
        for process in self.rig.system.processes().iter().filter(|process| !process.alive()) {
            process.restart().await?;
        }
        Ok(())
    }

    /// The balancer takes an ingress off three seconds after its SIGTERM, and on again when it is ready.
    pub(super) async fn roll(&mut self) -> Result<Struck> {
        let mut exit = Duration::ZERO;
        let mut rolled = 0;
        for process in self.rig.system.processes().iter().filter(|process| process.alive()) {
            let ending = async {
                let begun = Instant::now();
                process.stop().await?;
                anyhow::Ok(begun.elapsed())
            };
            let unrouting = async {
                let Some(balancer) = &self.rig.balancer else { return };
                if process.room() == "ingress" {
                    lapse(STILL_ROUTED, "the balancer goes on routing to it").await;
                    let mut ports = rig::ports(&self.rig.system);
                    ports.retain(|port| *port != process.port());
                    balancer.route(ports);
                }
            };
            let (ended, ()) = tokio::join!(ending, unrouting);
            exit = exit.max(ended?);
            process.restart().await?;
            if let Some(balancer) = &self.rig.balancer {
                balancer.route(rig::ports(&self.rig.system));
            }
            rolled += 1;
        }
        let target = format!("{rolled} processes");
        Ok(Struck { target, exit: Some(exit), ..Struck::default() })
    }
}

fn pick<'a>(processes: &[&'a Process], n: u64) -> Result<&'a Process> {
    let many = u64::try_from(processes.len().max(1))?;
    let chosen = usize::try_from(n % many)?;
    processes.get(chosen).copied().context("no process of the room runs")
}

/// Starts what is not running.
async fn start(pair: (&Process, &Process)) -> Result<()> {
    for process in [pair.0, pair.1] {
        if !process.alive() {
            process.restart().await?;
        }
    }
    Ok(())
}

/// Ends both; returns the longer time that one took.
async fn stop(pair: (&Process, &Process)) -> Result<Duration> {
    let begun = Instant::now();
    let (first, second) = tokio::join!(pair.0.stop(), pair.1.stop());
    first.and(second)?;
    Ok(begun.elapsed())
}

/// A counter or gauge of a metrics page, 0 when it is not there.
fn read(page: &str, name: &str) -> u64 {
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_read_from_a_metrics_page() {
        let page = format!("# HELP x y\n{REFUSED} 3\n{RUNNING} 12\n");
        assert_eq!((read(&page, REFUSED), read(&page, RUNNING), read(&page, "other")), (3, 12, 0));
    }
}
