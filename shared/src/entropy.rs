//! The only source of randomness: the operating system's, or a seeded one for tests.

use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

/// Makes random bytes and what is built of them.
#[derive(Clone, Debug)]
pub enum Entropy {
    Real,
    /// A splitmix64 sequence: for tests and simulation, never for secrets.
    Seeded(Arc<Mutex<u64>>),
}

impl Entropy {
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(seed)))
    }

    /// Fills `bytes`.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: nothing safe can go on then.
    pub fn fill(&self, bytes: &mut [u8]) {
        match self {
            Self::Real => system(bytes),
            Self::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in bytes.chunks_mut(8) {
                    let word = splitmix64(&mut state).to_le_bytes();
                    chunk.copy_from_slice(&word[..chunk.len()]);
                }
            }
        }
    }

    pub fn u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Uniform in 0..1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub fn chance(&self) -> f64 {
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A UUID of version 7: sorted by its millisecond, random within.
    pub fn uuid_v7(&self, unix_ms: u64) -> Uuid {
        let mut random = [0; 10];
        self.fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid()
    }

    /// Random bits in the shape of a UUID of version 5, which some clients insist on (protocol §7.5).
    pub fn uuid_v5_shape(&self) -> Uuid {
        let mut random = [0; 16];
        self.fill(&mut random);
        uuid::Builder::from_sha1_bytes(random).into_uuid()
    }

    /// `bytes` random bytes as lower-case hex.
    pub fn hex(&self, bytes: usize) -> String {
        use std::fmt::Write as _;
        let mut random = vec![0; bytes];
        self.fill(&mut random);
        random.iter().fold(String::with_capacity(bytes * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "this file is the randomness")]
fn system(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("invariant: the operating system gives randomness");
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
