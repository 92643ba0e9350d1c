//! The broker is reached by TLS, as in production, and is believed only with a certificate of a trusted
//! authority.

use std::path::Path;

use testkit::free_port;
use testkit::postgres::Server;
use testkit::rabbitmq::{self, Node};

use crate::support::drill::{append, posted, roll, rooms, run, tell};

/// For the broker's address alone.
const CERTIFICATE: &str = "[req]\ndistinguished_name=d\nx509_extensions=e\n[d]\n[e]\n\
     basicConstraints=critical,CA:FALSE\nsubjectAltName=IP:127.0.0.1\n";

/// Makes `key` and `certificate` in the folder.
async fn certify(folder: &Path) {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    std::fs::write(folder.join("config"), CERTIFICATE).unwrap();
    let (config, key, certificate) = (path("config"), path("key"), path("certificate"));
    let make = ["req", "-x509", "-config", &config, "-subj", "/CN=broker", "-days", "2", "-nodes"];
    let of = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    let into = ["-keyout", &key, "-out", &certificate];
    run("openssl", &[&make[..], &of, &into].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_speak_with_a_broker_by_tls_and_with_no_stranger() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path()).await;
    let (port, path) = (free_port(), folder.path().display());
    let options = rabbitmq::Options {
        config: format!(
            "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.certfile = {path}/certificate\n\
             ssl_options.keyfile = {path}/key\nssl_options.cacertfile = {path}/certificate\n\
             ssl_options.verify = verify_none\n"
        ),
        ..rabbitmq::Options::default()
    };
    let node = Node::start_with(options).await.unwrap();
    let server = Server::start().await.unwrap();
    let rig = rooms(node.url(), server.create_database().await.unwrap()).await;
    let amqp = ("SWITCHHOOK_ENGINES_AMQP", format!("amqps://guest:guest@127.0.0.1:{port}/%2f"));
    let trusted = ("SSL_CERT_FILE", format!("{path}/certificate"));
    for process in rig.system.processes() {
        roll(process, &[amqp.clone(), trusted.clone()]).await;
    }
    append(&rig, 1, 1, &[1]).await;
    tell(&rig, 2, 1).await;
    posted(&rig, 2, &[1], 204).await;
    let list = node.ctl(&["list_connections", "--quiet", "--no-table-headers", "ssl"]).await;
    let list = list.unwrap();
    let encrypted: Vec<_> = list.split_whitespace().collect();
    assert!(encrypted.len() >= rig.system.processes().len(), "{list}");
    assert!(encrypted.iter().all(|ssl| *ssl == "true"), "{list}");

    rig.system.run_with(&["doctor"], &[amqp.clone(), trusted.clone()]).await.unwrap();
    // Who does not know the authority does not speak.
    let refused = rig.system.run_with(&["doctor"], &[amqp]).await.unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
    // Nor to the same broker by a name that is not in the certificate.
    let other = ("SWITCHHOOK_ENGINES_AMQP", format!("amqps://guest:guest@localhost:{port}/%2f"));
    let refused = rig.system.run_with(&["doctor"], &[other, trusted]).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
}
