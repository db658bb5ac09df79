//! What the bench says to the sink: `GET /figures`, `POST /reset`, `POST /up|down|throttle|error|error-after-storing|expired|slow/MS`.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use crate::Trouble;
use crate::http::{Answer, Buffer, read};
use crate::service::{How, Service};

pub fn answer(mut connection: TcpStream, service: &Service) -> Result<(), Trouble> {
    let Some(request) = read(&mut connection, &mut Buffer::default())? else { return Ok(()) };
    let path = request.line().split(' ').nth(1).unwrap_or_default();
    let how = match path.trim_start_matches('/') {
        "figures" => {
            connection.write_all(&Answer::ok(service.figures().to_string()).bytes())?;
            return Ok(());
        }
        "reset" => {
            service.reset();
            None
        }
        "up" => Some(How::Up),
        "down" => Some(How::Down),
        "throttle" => Some(How::Throttle),
        "error" => Some(How::Error),
        "error-after-storing" => Some(How::ErrorAfterStoring),
        "expired" => Some(How::Expired),
        other => {
            let Some(wait) = other.strip_prefix("slow/").and_then(|wait| wait.parse().ok()) else {
                connection.write_all(&Answer::error(404, "NotFound", path).bytes())?;
                return Ok(());
            };
            Some(How::Slow(Duration::from_millis(wait)))
        }
    };
    if let Some(how) = how {
        service.behave(how);
    }
    connection.write_all(&Answer::ok("{}").bytes())?;
    Ok(())
}
