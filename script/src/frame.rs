//! Frames on the pipe between a host and its parent: four bytes of length, little endian, then JSON.

use std::io::{self, Read, Write};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The largest job.
pub(crate) const JOB_MAX: usize = 16 * 1024 * 1024;

fn head(length: usize) -> io::Result<[u8; 4]> {
    let length = u32::try_from(length).map_err(|_| too_large())?;
    Ok(length.to_le_bytes())
}

fn length(head: [u8; 4], max: usize) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(head)).map_err(|_| too_large())?;
    if length > max { Err(too_large()) } else { Ok(length) }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a frame is too large")
}

/// The host's side. `None` at the end of the pipe.
pub(crate) fn read(pipe: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 4];
    match pipe.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut body = vec![0; length(head, JOB_MAX)?];
    pipe.read_exact(&mut body)?;
    Ok(Some(body))
}

pub(crate) fn write(pipe: &mut impl Write, body: &[u8]) -> io::Result<()> {
    pipe.write_all(&head(body.len())?)?;
    pipe.write_all(body)?;
    pipe.flush()
}

/// The parent's side: a host that sends more than `max` bytes is not read.
pub(crate) async fn receive(
    pipe: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    pipe.read_exact(&mut head).await?;
    let mut body = vec![0; length(head, max)?];
    pipe.read_exact(&mut body).await?;
    Ok(body)
}

pub(crate) async fn send(pipe: &mut (impl AsyncWrite + Unpin), body: &[u8]) -> io::Result<()> {
    if body.len() > JOB_MAX {
        return Err(too_large());
    }
    pipe.write_all(&head(body.len())?).await?;
    pipe.write_all(body).await?;
    pipe.flush().await
}
