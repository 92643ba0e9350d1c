//! RabbitMQ and PostgreSQL: all rooms in one process, and each in a process of its own.

use testkit::{free_port, postgres, rabbitmq};

use crate::support::{Data, PATIENCE, http, say, stdout};

const ENVELOPE: &str = "dGVzdC1vbmx5LWVudmVsb3BlLWtleS0wMTIzNDU2Nzg=";
const VAULT: &str = "dGVzdC1vbmx5LXZhdWx0LWtleS0wMTIzNDU2Nzg5YWI=";

async fn engines(name: &str) -> (String, String, String) {
    let amqp = rabbitmq::shared().await.unwrap().url();
    let postgres = postgres::shared().await.unwrap().create_database().await.unwrap();
    (amqp, postgres, format!("cli-{name}-{}", std::process::id()))
}

#[tokio::test]
async fn up_runs_on_rabbitmq_and_postgresql_with_the_same_demo() {
    let (amqp, postgres, prefix) = engines("up").await;
    let data = Data::new().set("engines.prefix", &prefix);
    let pair = ["--amqp", amqp.as_str(), "--postgres", postgres.as_str()];
    let up = data.up(&pair).await;
    let channels = data.demo()["bots"][0]["channels"].clone();
    let token = data.run(&[&["token", "--app", "demo"], &pair[..]].concat());
    let answer = say(channels[0]["url"].as_str().unwrap(), token.trim(), "u", "hello").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"text":"hello"}"#), "{}", up.log());
    let answer = say(channels[1]["url"].as_str().unwrap(), token.trim(), "u", "later").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{}", up.log());
    testkit::until("the POST", || async { up.printed().contains(r#""text":"later""#) }).await;
    assert_eq!(up.stop().await, Some(0));
}

#[tokio::test]
async fn each_room_runs_alone_and_hears_of_the_registry_without_a_restart() {
    let (amqp, postgres, prefix) = engines("rooms").await;
    let data = Data::new()
        .set("engines.prefix", &prefix)
        .set("engines.amqp", &amqp)
        .set("engines.postgres", &postgres)
        .set("keys.envelope", ENVELOPE)
        .set("keys.vault", VAULT);
    data.run(&["migrate"]);
    let mut rooms = Vec::new();
    let listen = format!("127.0.0.1:{}", free_port());
    for room in ["deliverer", "dispatcher", "ingress"] {
        let admin = format!("127.0.0.1:{}", free_port());
        let mut command = data.command(&[room, "--admin-listen", &admin, "--listen", &listen]);
        let child = tokio::process::Command::from(command_with_log(&mut command, &data, room))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        rooms.push((room, child, format!("http://{admin}")));
    }
    for (room, _, admin) in &rooms {
        testkit::until(room, || async {
            http("GET", &format!("{admin}/readyz"), &[], "").await.status == 200
        })
        .await;
    }
    data.run(&["app", "add", "--name", "a"]);
    data.run(&["bot", "add", "--name", "b"]);
    let add = ["channel", "add", "--name", "c", "--bot", "b", "--app", "a", "--approve"];
    let path =
        data.json(&add)["url"].as_str().unwrap().split_once("/chatbot").unwrap().1.to_owned();
    let url = format!("http://{listen}/chatbot{path}");
    let token = data.run(&["token", "--app", "a"]);
    // The announcement comes at once; without it the copy would be read again after half a minute.
    let answer = testkit::until("the new channel", || async {
        let answer = say(&url, token.trim(), "u", "hello").await;
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(answer.await.body, r#"{"text":"hello"}"#);
    let said = data.command(&[
        "send",
        "--channel",
        "c",
        "--url",
        &format!("http://{listen}"),
        "by",
        "hand",
    ]);
    let said = { said }.output().unwrap();
    assert_eq!(stdout(&said), "by hand\n");
    for (room, mut child, _) in rooms.into_iter().rev() {
        let pid = child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").arg(&pid).status().unwrap().success());
        let status = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{room}: {status}");
    }
}

fn command_with_log(
    command: &mut std::process::Command,
    data: &Data,
    room: &str,
) -> std::process::Command {
    let log = std::fs::File::create(data.path().with_file_name(format!("{room}.log"))).unwrap();
    command.stderr(log);
    std::mem::replace(command, std::process::Command::new("true"))
}
