//! What the bench says to the sink: `GET /figures` and `/kept`; `POST /reset`, `/keep`, `/forget` (all groups and streams are gone),
//! `/clock/SECONDS` (ahead, or behind with a minus), or one of the ways to behave.

use std::io::Write as _;
use std::net::TcpStream;

use crate::Trouble;
use crate::clock::{http_date, seconds};
use crate::how::How;
use crate::http::{Answer, Buffer, read};
use crate::service::Service;

pub fn answer(mut connection: TcpStream, service: &Service) -> Result<(), Trouble> {
    let Some(request) = read(&mut connection, &mut Buffer::default())? else { return Ok(()) };
    let path = request.line().split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let answer = match path {
        "figures" => Answer::ok(service.figures().to_string()),
        "kept" => Answer::ok(service.kept()),
        order => match carry_out(order, service) {
            Some(()) => Answer::ok("{}"),
            None => Answer::error(404, "NotFound", order),
        },
    };
    connection.write_all(&answer.bytes(&http_date(seconds(0))))?;
    Ok(())
}

fn carry_out(order: &str, service: &Service) -> Option<()> {
    match order {
        "reset" => service.reset(),
        "keep" => service.keep(),
        "forget" => service.forget(),
        _ => match order.strip_prefix("clock/") {
            Some(ahead) => service.set_clock(ahead.parse().ok()?),
            None => service.behave(How::named(order)?),
        },
    }
    Some(())
}
