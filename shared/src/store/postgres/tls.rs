//! TLS to the database, and the words of its URL that the driver does not know.
//!
//! Wherever TLS is used the server is verified, by name too. `sslrootcert=FILE` trusts the certificates
//! of a file instead of the system's; `sslmode=verify-ca` and `verify-full` mean `require`.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::form_urlencoded;

use super::pool::ConnectError;

/// A URL as the driver reads it, and the file of trusted certificates that it names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) roots: Option<PathBuf>,
}

/// Takes out what the driver refuses. Anything but a URL with a query stays as it is.
pub(super) fn target(url: &str) -> Target {
    let Some((place, query)) = url.split_once('?') else {
        return Target { url: url.to_owned(), roots: None };
    };
    let mut roots = None;
    let mut kept = Vec::new();
    for part in query.split('&') {
        let pair = form_urlencoded::parse(part.as_bytes()).next();
        match pair.as_ref().map(|(name, value)| (name.as_ref(), value.as_ref())) {
            Some(("sslrootcert", path)) => roots = Some(PathBuf::from(path)),
            Some(("sslmode", "verify-ca" | "verify-full")) => kept.push("sslmode=require"),
            Some(_) => kept.push(part),
            None => {}
        }
    }
    let url =
        if kept.is_empty() { place.to_owned() } else { format!("{place}?{}", kept.join("&")) };
    Target { url, roots }
}

/// Trusts the file's certificates, or the system's.
pub(super) fn client(roots: Option<&PathBuf>) -> Result<rustls::ClientConfig, ConnectError> {
    let mut store = rustls::RootCertStore::empty();
    let (added, why) = if let Some(path) = roots {
        let unreadable = |error| ConnectError::Tls(format!("{}: {error}", path.display()));
        let found = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
        let found = found.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        (store.add_parsable_certificates(found).0, path.display().to_string())
    } else {
        let found = rustls_native_certs::load_native_certs();
        (store.add_parsable_certificates(found.certs).0, format!("{:?}", found.errors))
    };
    if added == 0 {
        return Err(ConnectError::Tls(format!("there are none: {why}")));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::Tls(error.to_string()))
        .map(|builder| builder.with_root_certificates(store).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_does_not_know_is_taken_out_of_the_url() {
        let table = [
            ("postgres://u:p@h/d", "postgres://u:p@h/d", None),
            ("host=/run dbname=d", "host=/run dbname=d", None),
            ("postgres://h/d?sslmode=require", "postgres://h/d?sslmode=require", None),
            ("postgres://h/d?sslmode=verify-full", "postgres://h/d?sslmode=require", None),
            ("postgres://h/d?sslrootcert=/a%20b", "postgres://h/d", Some("/a b")),
            (
                "postgres://h/d?options=-c%20x&sslrootcert=/ca&sslmode=verify-ca",
                "postgres://h/d?options=-c%20x&sslmode=require",
                Some("/ca"),
            ),
        ];
        for (given, url, roots) in table {
            let expected = Target { url: url.to_owned(), roots: roots.map(PathBuf::from) };
            assert_eq!(target(given), expected, "{given}");
        }
    }
}
