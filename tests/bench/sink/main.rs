//! A fast log service on loopback, for measuring shippers: checks every limit of `PutLogEvents`, counts each generated line
//! by its number, and fails as it is told to. Nothing is kept but counts, unless it is told to keep what is no generated line.
//!
//! `log-sink --listen 127.0.0.1:8443 --control 127.0.0.1:8444 --certificate FILE --key FILE`
//!
//! Generated lines begin with `SOURCE NUMBER MICROSECONDS `: who wrote it, the how-manieth it is from 0 on, and when (since 1970).

mod clock;
mod control;
mod how;
mod http;
mod kept;
mod put;
mod service;
mod tally;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::service::{Reply, Service};

/// Anything that went wrong; the sink is a test's tool and says it as it is.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "log-sink: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Trouble> {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = options.iter().position(|option| option == name);
        at.and_then(|at| options.get(at + 1)).cloned().ok_or(format!("`{name}` is missing"))
    };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(option("--certificate")?)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(option("--key")?)?;
    let tls = Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?);
    let service = Arc::new(Service::default());

    let control = TcpListener::bind(option("--control")?)?;
    let controlled = service.clone();
    std::thread::spawn(move || {
        for connection in control.incoming().flatten() {
            let _ = control::answer(connection, &controlled);
        }
    });

    let listener = TcpListener::bind(option("--listen")?)?;
    writeln!(std::io::stdout(), "ready")?;
    for connection in listener.incoming().flatten() {
        let (tls, service) = (tls.clone(), service.clone());
        // A client that goes away in the middle is what some tests are about.
        std::thread::spawn(move || {
            let _ = serve(connection, tls, &service);
        });
    }
    Ok(())
}

fn serve(connection: TcpStream, tls: Arc<ServerConfig>, service: &Service) -> Result<(), Trouble> {
    connection.set_nodelay(true)?;
    let mut stream = StreamOwned::new(ServerConnection::new(tls)?, connection);
    let mut buffer = http::Buffer::default();
    while let Some(request) = http::read(&mut stream, &mut buffer)? {
        match service.answer(&request) {
            Reply::Whole(answer) => stream.write_all(&answer.bytes(&service.date()))?,
            Reply::Half(answer) => {
                let bytes = answer.bytes(&service.date());
                stream.write_all(&bytes[..bytes.len() / 2])?;
                return Ok(stream.flush()?);
            }
            Reply::Nothing => return Ok(()),
        }
        stream.flush()?;
        buffer.done(&request);
    }
    Ok(())
}

/// What both TLS and tests read from.
trait Wire: Read {}
impl<R: Read> Wire for R {}
