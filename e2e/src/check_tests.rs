use super::*;
use crate::history::{Post, value};

fn post(seq: u32, status: u16) -> Post {
    let list = (1..=seq).collect();
    Post { webhook_id: format!("msg_{seq}"), list, body: u64::from(seq), status, stranger: false }
}

/// A run of four messages in which all went well.
fn good() -> Thread {
    Thread {
        asynchronous: true,
        sends: (1..=4).map(|seq| Send { seq, fate: Fate::Accepted }).collect(),
        answers: Vec::new(),
        strange: Vec::new(),
        posts: vec![post(1, 200), post(2, 500), post(2, 200), post(3, 200), post(4, 200)],
        last: Some(vec![1, 2, 3, 4]),
    }
}

fn judge(thread: Thread) -> Verdict {
    check(&BTreeMap::from([(7, thread)]))
}

fn kinds(thread: Thread) -> Vec<Kind> {
    let mut kinds: Vec<_> = judge(thread).faults.into_iter().map(|fault| fault.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[test]
fn a_good_run_passes_and_counts_its_retries() {
    let verdict = judge(good());
    assert_eq!(verdict.faults, Vec::new());
    assert_eq!((verdict.accepted, verdict.repeated_posts, verdict.duplicate_deliveries), (4, 1, 0));
    assert!(verdict.to_string().starts_with("PASS"));
}

#[test]
fn a_lost_message_is_found() {
    let mut thread = good();
    thread.last = Some(vec![1, 2, 3]);
    thread.posts.pop();
    assert_eq!(kinds(thread), [Kind::Lost]);
}

#[test]
fn a_message_of_unknown_fate_may_be_missing_or_take_effect() {
    let mut thread = good();
    thread.sends[3].fate = Fate::Unknown;
    assert_eq!(judge(thread.clone()).recovered, 1);
    thread.last = Some(vec![1, 2, 3]);
    thread.posts.pop();
    let verdict = judge(thread);
    assert_eq!((verdict.faults.len(), verdict.recovered), (0, 0));
}

#[test]
fn an_effect_that_nobody_asked_for_is_found() {
    let mut thread = good();
    thread.last = Some(vec![1, 2, 3, 4, 9]);
    thread.posts.push(Post { list: vec![1, 2, 3, 4, 9], ..post(9, 200) });
    assert_eq!(kinds(thread), [Kind::Unexpected]);
    let mut thread = good();
    thread.sends[1].fate = Fate::Refused;
    assert_eq!(kinds(thread), [Kind::Unexpected]);
}

#[test]
fn a_duplicated_effect_is_found() {
    let mut thread = good();
    thread.last = Some(vec![1, 2, 3, 4, 4]);
    assert_eq!(kinds(thread), [Kind::DuplicatedEffect]);
}

#[test]
fn a_swapped_pair_is_found() {
    let mut thread = good();
    thread.posts.clear();
    thread.asynchronous = false;
    thread.last = Some(vec![1, 3, 2, 4]);
    assert_eq!(kinds(thread), [Kind::Reordered]);
}

#[test]
fn a_fork_of_the_state_is_found() {
    let mut thread = good();
    thread.answers = vec![vec![1], vec![1, 3]];
    assert_eq!(kinds(thread), [Kind::Forked]);
}

#[test]
fn a_lost_a_changed_and_an_overtaking_delivery_are_found() {
    let mut thread = good();
    thread.posts[3].status = 503;
    assert_eq!(kinds(thread), [Kind::ReplyLost]);
    let mut thread = good();
    thread.posts[1].body = 99;
    assert_eq!(kinds(thread), [Kind::ReplyChanged]);
    let mut thread = good();
    thread.posts.swap(3, 4);
    assert_eq!(kinds(thread), [Kind::DeliveredOutOfOrder]);
}

#[test]
fn an_answer_that_is_not_the_messages_own_is_found() {
    let mut thread = good();
    thread.strange.push(3);
    assert_eq!(kinds(thread), [Kind::ReplyLost]);
}

#[test]
fn an_answer_under_two_ids_is_found() {
    let mut thread = good();
    thread.posts[2].webhook_id = "msg_again".to_owned();
    assert_eq!(kinds(thread), [Kind::ReplyDuplicated]);
}

#[test]
fn what_nobody_knows_to_be_accepted_may_take_effect_late_but_not_early() {
    let thread = |unknown: usize, last: [u32; 4]| {
        let mut thread = good();
        (thread.asynchronous, thread.posts) = (false, Vec::new());
        thread.sends[unknown].fate = Fate::Unknown;
        thread.last = Some(last.to_vec());
        thread
    };
    assert_eq!(kinds(thread(1, [1, 3, 2, 4])), []);
    assert_eq!(kinds(thread(2, [1, 3, 2, 4])), [Kind::Reordered]);
}

#[test]
fn a_list_a_delivery_and_credentials_of_another_tenant_are_found() {
    let mut thread = good();
    thread.answers = vec![vec![value(1, 1)]];
    assert!(kinds(thread).contains(&Kind::Crossed));
    let mut thread = good();
    thread.posts[0].stranger = true;
    assert_eq!(kinds(thread), [Kind::Crossed]);
    let mut twin = good();
    twin.sends.iter_mut().for_each(|send| send.seq = value(1, send.seq));
    twin.last = twin.last.map(|list| list.into_iter().map(|seq| value(1, seq)).collect());
    for post in &mut twin.posts {
        post.list.iter_mut().for_each(|seq| *seq = value(1, *seq));
        post.webhook_id.push('b');
    }
    let both = |twin: Thread| check(&BTreeMap::from([(7, good()), (TENANT + 7, twin)]));
    assert_eq!(both(twin.clone()).faults, []);
    twin.posts.iter_mut().for_each(|post| post.webhook_id = post.webhook_id.replace('b', ""));
    assert_eq!(both(twin).count(Kind::Crossed), 5);
}

#[test]
fn only_a_run_without_a_finding_is_valid_and_one_that_shows_nothing_is_not_called_broken() {
    assert_eq!(judge(good()).word(), "VALID");
    assert_eq!(check(&BTreeMap::new()).word(), "INVALID");
    let mut thread = good();
    thread.last = Some(vec![1, 2, 3]);
    let verdict = judge(thread);
    assert_eq!(verdict.word(), "BROKEN");
    assert!(verdict.counts().contains("lost 1"), "{}", verdict.counts());
}

#[test]
fn a_delivery_after_a_success_is_counted_and_no_fault() {
    let mut thread = good();
    thread.posts.push(post(4, 200));
    let verdict = judge(thread);
    assert_eq!((verdict.faults.len(), verdict.duplicate_deliveries), (0, 1));
}

#[test]
fn a_run_in_which_little_was_accepted_shows_nothing() {
    let mut thread = good();
    for send in &mut thread.sends {
        send.fate = Fate::Unknown;
    }
    assert_eq!(kinds(thread), [Kind::Vacuous]);
    assert_eq!(check(&BTreeMap::new()).count(Kind::Vacuous), 1);
}
