//! TLS to PostgreSQL: the server is verified, by the certificates of a file.

use shared::store::{Intake as _, StoreError, Turns as _, Upkeep as _};

use super::engine_postgres::{Alone, open};
use super::fixtures::turn;
use super::harness::Harness as _;

conformance! { own server:
    with_the_certificate_of_the_server_the_connection_is_encrypted,
}

/// The server makes its own key, which nobody else may read; a certificate for its address alone.
const MAKE: &str = r"copy (select 1) to program $$
  printf '[req]\ndistinguished_name=d\nx509_extensions=e\n[d]\n[e]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=IP:127.0.0.1\n' > tls.cnf &&
  umask 077 &&
  openssl req -x509 -config tls.cnf -subj /CN=private -days 2 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -keyout server.key -out server.crt
$$";

async fn with_the_certificate_of_the_server_the_connection_is_encrypted(h: Alone) {
    let client = h.client().await;
    client.batch_execute(MAKE).await.unwrap();
    client.batch_execute("alter system set ssl = on").await.unwrap();
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    let sql = "select pg_read_file('server.crt')";
    let certificate: String = client.query_one(sql, &[]).await.unwrap().get(0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.crt");
    std::fs::write(&file, certificate).unwrap();

    let trusting = format!("{}?sslmode=verify-full&sslrootcert={}", h.url(), file.display());
    let store = open(&trusting);
    // The server reads its settings anew when it comes to it.
    testkit::until("a migration over TLS", || store.migrate()).await;
    store
        .load(&shared::domain::ids::ConversationKey::new("c".into(), "u".into()), turn())
        .await
        .unwrap();
    let sql = "select count(*) filter (where s.ssl), count(*) filter (where not s.ssl)
                 from pg_stat_activity a join pg_stat_ssl s using (pid)
                where a.application_name = 'switchhook'";
    let row = client.query_one(sql, &[]).await.unwrap();
    let (encrypted, plain): (i64, i64) = (row.get(0), row.get(1));
    assert!(encrypted > 0 && plain == 0, "{encrypted} encrypted, {plain} in the clear");

    // Trusting the system's certificates, nobody talks to this server.
    let stranger = open(&format!("{}?sslmode=require", h.url()));
    let refused = stranger.ping().await;
    assert!(matches!(refused, Err(StoreError::Away(_))), "{refused:?}");
    // By another name it is another server.
    let other = trusting.replace("127.0.0.1", "localhost");
    let refused = open(&other).ping().await;
    assert!(matches!(refused, Err(StoreError::Away(_))), "{refused:?}");
    assert!(h.store().ping().await.is_ok(), "without TLS on loopback, as before");
}
