//! Asking a service over HTTP whether it is ready.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::catalog::Service;
use super::process::Process;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(100);
/// For one question.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Waits until a started service is healthy; ends early when its process does.
pub(super) fn wait(service: &Service, process: &Process, ready_max: Duration) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < ready_max {
        if is_healthy(service) {
            return Ok(());
        }
        if process.running()?.is_none() {
            bail!("{} ended before it was healthy; its log is {}", service.name, process.log().display());
        }
        std::thread::sleep(PAUSE);
    }
    bail!("{} was not healthy within {ready_max:?}; its log is {}", service.name, process.log().display())
}

/// Asks once.
pub(super) fn is_healthy(service: &Service) -> bool {
    get_is_ok(service.port, service.health_path).unwrap_or(false)
}

/// Whether `GET` of a path on loopback is answered with 200.
fn get_is_ok(port: u16, path: &str) -> std::io::Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").as_bytes())?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(head.starts_with(b"HTTP/1.") && head.ends_with(b" 200"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answered(answer: &'static [u8]) -> std::io::Result<bool> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /health HTTP/1.0\r\n"));
            stream.write_all(answer).unwrap();
        });
        let result = get_is_ok(port, "/health");
        server.join().unwrap();
        result
    }

    #[test]
    fn only_200_is_healthy() {
        assert!(answered(b"HTTP/1.1 200 OK\r\n\r\n").unwrap());
        assert!(!answered(b"HTTP/1.1 503 Not yet\r\n\r\n").unwrap());
        assert!(answered(b"").is_err());
    }
}
