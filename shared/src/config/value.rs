//! How a setting's text becomes its value.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

/// A value that a setting can have. The error completes the sentence "key: …".
pub trait Value: Sized {
    fn parse(text: &str) -> Result<Self, String>;
}

/// A size in bytes: `64KiB`, `1MiB`, `300`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

/// A network that may be called though it is not public, perhaps on one port only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedTarget {
    pub network: IpNet,
    pub port: Option<u16>,
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Value for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("a path".to_owned()) } else { Ok(text.into()) }
    }
}

impl Value for SecretString {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
}

macro_rules! from_str {
    ($($T:ty => $what:literal),+) => { $(
        impl Value for $T {
            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| format!("{text:?} is not {}", $what))
            }
        }
    )+ };
}
from_str! {
    u16 => "a number from 0 to 65535",
    u32 => "a number from 0 to 4294967295",
    f64 => "a number",
    bool => "true or false",
    SocketAddr => "an address like 127.0.0.1:8080",
    url::Url => "a URL"
}

impl<T: Value> Value for Option<T> {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }
}

impl<T: Value> Value for Vec<T> {
    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::parse).collect()
    }
}

impl Value for Duration {
    /// `500ms`, `15s`, `10min`, `2h`, `8d`.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a duration like 500ms, 15s, 10min, 2h or 8d");
        let (number, unit) = split_number(text);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "min" | "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        number.checked_mul(ms).map(Duration::from_millis).ok_or_else(wrong)
    }
}

impl Value for Bytes {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a size like 300, 64KiB or 1MiB");
        let (number, unit) = split_number(text);
        let number: usize = number.parse().map_err(|_| wrong())?;
        let factor = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        number.checked_mul(factor).map(Bytes).ok_or_else(wrong)
    }
}

impl Value for AllowedTarget {
    /// `10.0.0.0/8`, `127.0.0.1/32:9000`, `[fd00::/8]:443`.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a network like 10.0.0.0/8, 127.0.0.1/32:9000 or [fd00::/8]:443"
            )
        };
        if let Ok(network) = text.parse() {
            return Ok(Self { network, port: None });
        }
        let (network, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let network = network.trim_start_matches('[').trim_end_matches(']');
        let network = network.parse().map_err(|_| wrong())?;
        Ok(Self { network, port: Some(port.parse().map_err(|_| wrong())?) })
    }
}

fn split_number(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}
