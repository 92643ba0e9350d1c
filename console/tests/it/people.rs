//! Operators and their tokens.

use console::office::actor::{Role, Scope};
use console::office::operators::{ApiTokenDraft, OperatorPatch};
use console::office::problem::Kind;

use crate::support::{PASSWORD, World, operator, refused};
use testkit::pair::Pair;

on_both! {
    a_password_proves_its_operator_until_they_are_locked_out,
    a_token_may_what_it_was_given_and_never_more_than_its_operator_now,
    a_token_goes_with_its_operator_and_the_last_admin_stays,
}

fn token(operator: &str, scopes: &[Scope]) -> ApiTokenDraft {
    let (operator, scopes) = (Some(operator.to_owned()), scopes.to_vec());
    ApiTokenDraft { name: "ci".to_owned(), operator, scopes, life: Some("1h".to_owned()) }
}

async fn world<P: Pair>(pair: &P) -> World<P> {
    let world = World::start(pair, false).await;
    for (name, role) in [("ann", Role::Admin), ("dev", Role::Developer)] {
        world.desk.add_operator(&world.ann, &operator(name, role)).await.unwrap();
    }
    world
}

async fn a_password_proves_its_operator_until_they_are_locked_out<P: Pair>(pair: P) {
    let world = world(&pair).await;
    let actor = world.desk.sign_in("dev", PASSWORD).await.unwrap().unwrap();
    assert_eq!((actor.person.as_str(), actor.may(Scope::Configure)), ("dev", true));
    assert!(!actor.may(Scope::Approve));
    for (name, password) in [("dev", "another password!!"), ("nobody", PASSWORD), ("DEV", PASSWORD)]
    {
        assert_eq!(world.desk.sign_in(name, password).await.unwrap(), None, "{name}");
    }
    let lock = OperatorPatch { disabled: Some(true), ..OperatorPatch::default() };
    world.desk.change_operator(&world.ann, "dev", &lock).await.unwrap();
    assert_eq!(world.desk.sign_in("dev", PASSWORD).await.unwrap(), None);
    let made = console::office::operators::OperatorDraft {
        password: None,
        ..operator("x", Role::Developer)
    };
    let made = world.desk.add_operator(&world.ann, &made).await.unwrap().password.unwrap();
    assert!(world.desk.sign_in("x", &made).await.unwrap().is_some());
    let short = console::office::operators::OperatorDraft {
        password: Some("short".to_owned()),
        ..operator("y", Role::Developer)
    };
    refused(world.desk.add_operator(&world.ann, &short).await, Kind::Invalid);
    for taken in ["new", ".", "..", "command line"] {
        let draft = operator(taken, Role::Developer);
        refused(world.desk.add_operator(&world.ann, &draft).await, Kind::Invalid);
    }
}

async fn a_token_may_what_it_was_given_and_never_more_than_its_operator_now<P: Pair>(pair: P) {
    let world = world(&pair).await;
    let all = world.desk.add_api_token(&world.ann, &token("ann", &Scope::ALL)).await.unwrap();
    let text = all.token.clone().unwrap();
    assert!(text.starts_with("shk_") && text.len() > 40);
    let holder = world.desk.holder(&text).await.unwrap().unwrap();
    assert_eq!((holder.person.as_str(), holder.scopes.len()), ("ann", 5));
    for wrong in ["", "shk_", &text[..text.len() - 1], &format!("{text}x")] {
        assert_eq!(world.desk.holder(wrong).await.unwrap(), None);
    }
    let listed = world.desk.api_tokens(&world.ann).await.unwrap();
    assert!(listed.iter().all(|token| token.token.is_none()));
    let over = world.desk.add_api_token(&world.ann, &token("dev", &[Scope::Approve])).await;
    refused(over, Kind::Forbidden);
    let mut reader = world.ann.clone();
    reader.scopes = vec![Scope::Read];
    let over = world.desk.add_api_token(&reader, &token("ann", &[Scope::Approve])).await;
    refused(over, Kind::Forbidden);
    refused(
        world.desk.add_api_token(&world.dev, &token("ann", &[Scope::Read])).await,
        Kind::Forbidden,
    );
    // Somebody else is made the other admin, and this one a developer.
    world.desk.add_operator(&world.ann, &operator("bob", Role::Admin)).await.unwrap();
    let less = OperatorPatch { role: Some(Role::Developer), ..OperatorPatch::default() };
    world.desk.change_operator(&world.ann, "ann", &less).await.unwrap();
    let holder = world.desk.holder(&text).await.unwrap().unwrap();
    assert_eq!(holder.scopes, [Scope::Read, Scope::Configure]);
    world.desk.remove_api_token(&world.bob, &all.token_id).await.unwrap();
    assert_eq!(world.desk.holder(&text).await.unwrap(), None);
}

async fn a_token_goes_with_its_operator_and_the_last_admin_stays<P: Pair>(pair: P) {
    let world = world(&pair).await;
    let text = world.desk.add_api_token(&world.ann, &token("dev", &[Scope::Read])).await.unwrap();
    let text = text.token.unwrap();
    assert!(world.desk.holder(&text).await.unwrap().is_some());
    world.desk.remove_operator(&world.ann, "dev").await.unwrap();
    assert_eq!(world.desk.holder(&text).await.unwrap(), None);
    assert!(world.desk.api_tokens(&world.ann).await.unwrap().is_empty());
    for patch in [
        OperatorPatch { role: Some(Role::Developer), ..OperatorPatch::default() },
        OperatorPatch { disabled: Some(true), ..OperatorPatch::default() },
    ] {
        refused(world.desk.change_operator(&world.ann, "ann", &patch).await, Kind::Conflict);
    }
    refused(world.desk.remove_operator(&world.ann, "ann").await, Kind::Conflict);
    assert!(world.desk.sign_in("ann", PASSWORD).await.unwrap().is_some());
}
