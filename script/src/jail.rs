//! What a host may not do. It jails itself before it reads its first job, and there is no way out.
//!
//! * Limits: a lower priority, address space, processor time, no new files, no core dump; it dies with its parent.
//! * Landlock: no file of any kind, no TCP, no signal to others.
//! * Seccomp: an allow list of what memory and the two pipes need. Everything else is refused: no socket,
//!   no exec, no fork, no open, no ptrace, no executable memory.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetStatus, Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use serde::{Deserialize, Serialize};

/// Bytes of address space: the program itself, and a heap of several times the usual limit.
const ADDRESS_SPACE: u64 = 768 * 1024 * 1024;
/// Seconds. A host is retired long before; this ends one whose parent cannot.
const PROCESSOR_TIME: u64 = 120;
/// Behind the process whose turns it runs, and all that are not scripts: about a third of the weight.
const NICE: i32 = 5;
const PROT_EXEC: u64 = 4;

/// What of the jail stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jail {
    /// What could not be had, in words. Empty: everything stands.
    pub missing: Vec<String>,
}

/// Jails this process. Not to be undone.
pub fn enter() -> Jail {
    let mut missing = Vec::new();
    let mut take = |what: &str, result: Result<(), String>| {
        if let Err(why) = result {
            missing.push(format!("{what}: {why}"));
        }
    };
    take("limits", limits());
    take("landlock", landlock());
    take("no new files", limit(Resource::Nofile, 3));
    take("seccomp", seccomp());
    Jail { missing }
}

fn limit(resource: Resource, most: u64) -> Result<(), String> {
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    rustix::process::setrlimit(resource, limit).map_err(|error| error.to_string())
}

fn limits() -> Result<(), String> {
    let words = |error: rustix::io::Errno| error.to_string();
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(words)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(words)?;
    rustix::process::nice(NICE).map_err(words)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Cpu, PROCESSOR_TIME)?;
    limit(Resource::As, ADDRESS_SPACE)
}

/// Everything that the kernel knows to refuse is refused; at the least, files.
fn landlock() -> Result<(), String> {
    let words = |error: landlock::RulesetError| error.to_string();
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .map_err(words)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))
        .map_err(words)?
        .handle_access(AccessNet::from_all(ABI::V4))
        .map_err(words)?
        .scope(Scope::from_all(ABI::V6))
        .map_err(words)?
        .create()
        .map_err(words)?
        .restrict_self()
        .map_err(words)?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err("the kernel does not enforce it".to_owned()),
        _ => Ok(()),
    }
}

fn seccomp() -> Result<(), String> {
    let program = filter().map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}

/// Refused calls fail with "not permitted", so that a library that tries one goes on without.
fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let condition = |argument, length, operator, value| {
        let condition = SeccompCondition::new(argument, length, operator, value)?;
        SeccompRule::new(vec![condition])
    };
    let is =
        |argument, value| condition(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    let not_executable =
        || condition(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(PROT_EXEC), 0);
    let mut rules = BTreeMap::from([
        (libc::SYS_read, vec![is(0, 0)?]),
        (libc::SYS_write, vec![is(0, 1)?]),
        (libc::SYS_mmap, vec![not_executable()?]),
        (libc::SYS_mprotect, vec![not_executable()?]),
    ]);
    let always = [
        libc::SYS_brk,
        libc::SYS_clock_gettime,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_getpid,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_madvise,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_yield,
        libc::SYS_sigaltstack,
    ];
    rules.extend(always.map(|call| (call, Vec::new())));
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)?.try_into()
}
