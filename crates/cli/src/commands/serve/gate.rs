//! Who may ask for what.
//!
//! A page of any other site can make a browser send requests to this server. Three things stand against that: the name
//! it was asked by must be this machine's (a name of the other site that was made to point here is not), a request that
//! says it comes from another page is refused, and the token is sent by our page only, not by the browser by itself.

use std::net::IpAddr;
use std::str::FromStr;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::token::Token;

pub(super) struct Gate {
    pub(super) port: u16,
    /// Other machines can reach it: it may be asked by any address.
    pub(super) is_exposed: bool,
    /// Reading takes no token.
    pub(super) is_open: bool,
    pub(super) is_metrics_open: bool,
    pub(super) is_read_only: bool,
    pub(super) token: Token,
}

/// Why a request is not answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) why: &'static str,
}

impl Refusal {
    const fn new(status: StatusCode, why: &'static str) -> Refusal {
        Refusal { status, why }
    }
}

/// What is behind the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// The page without data.
    Page,
    Data,
    Metrics,
    Changes,
}

const NO_HOST: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "the request names no host, or two");
const WRONG_HOST: Refusal = Refusal::new(
    StatusCode::MISDIRECTED_REQUEST,
    "asked by a name that is not this server's: use localhost or 127.0.0.1, and the port it listens at. \
     (A tunnel must have the same port at both ends.)",
);
const WRONG_ORIGIN: Refusal =
    Refusal::new(StatusCode::FORBIDDEN, "another page sent this request: only the server's own page may");
const NO_TOKEN: Refusal = Refusal::new(
    StatusCode::UNAUTHORIZED,
    "this wants the token that coseg serve printed: Authorization: Bearer TOKEN",
);
const READ_ONLY: Refusal =
    Refusal::new(StatusCode::FORBIDDEN, "coseg serve was started with --read-only: nothing is changed");

impl Gate {
    /// Lets a request pass, or says why not.
    pub(super) fn check(&self, request: &Parts, room: Room) -> Result<(), Refusal> {
        let host = self.check_host(request)?;
        check_origin(&request.headers, &host, room)?;
        if room == Room::Changes && self.is_read_only {
            return Err(READ_ONLY);
        }
        let is_free = match room {
            Room::Page => true,
            Room::Data => self.is_open,
            Room::Metrics => self.is_metrics_open,
            Room::Changes => false,
        };
        if is_free || self.has_token(&request.headers) { Ok(()) } else { Err(NO_TOKEN) }
    }

    /// The name it was asked by.
    fn check_host(&self, request: &Parts) -> Result<Authority, Refusal> {
        let named = only(&request.headers, HOST.as_str())
            .ok_or(NO_HOST)?
            .to_str()
            .ok()
            .and_then(|text| Authority::from_str(text).ok())
            .ok_or(WRONG_HOST)?;
        // A request to a proxy names the host in its first line too.
        let is_same = request.uri.authority().is_none_or(|authority| *authority == named);
        let is_at_port = named.port_u16().unwrap_or(80) == self.port;
        let is_plain = !named.as_str().contains('@');
        if is_same && is_at_port && is_plain && self.is_ours(named.host()) {
            Ok(named)
        } else {
            Err(WRONG_HOST)
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match IpAddr::from_str(address) {
            // An address cannot be made to point elsewhere, as a name can.
            Ok(address) => address.is_loopback() || self.is_exposed,
            Err(_) => host.eq_ignore_ascii_case("localhost"),
        }
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let words = only(headers, AUTHORIZATION.as_str()).map(HeaderValue::as_bytes);
        let token = words.and_then(|words| words.split_at_checked(b"Bearer ".len()));
        token.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case(b"Bearer ") && self.token.is(token.trim_ascii())
        })
    }
}

/// What browsers say of the page that sent it; other programs say nothing.
fn check_origin(headers: &HeaderMap, host: &Authority, room: Room) -> Result<(), Refusal> {
    let own = format!("http://{host}");
    let is_foreign = |value: &HeaderValue| value.as_bytes() != own.as_bytes();
    if headers.get_all(ORIGIN).iter().any(is_foreign) {
        return Err(WRONG_ORIGIN);
    }
    // A link from elsewhere may lead to the page, which has no data.
    let is_from_here = |value: &HeaderValue| [&b"same-origin"[..], b"none"].contains(&value.as_bytes());
    let is_told = headers.get_all("sec-fetch-site").iter().all(is_from_here);
    if room == Room::Page || is_told { Ok(()) } else { Err(WRONG_ORIGIN) }
}

fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut all = headers.get_all(name).iter();
    all.next().filter(|_| all.next().is_none())
}

/// The room of a path.
pub(super) fn room(method: &Method, path: &str) -> Room {
    match path {
        "/metrics" => Room::Metrics,
        _ if *method != Method::GET && *method != Method::HEAD => Room::Changes,
        _ if path.starts_with("/api/") || path == "/events" || path.starts_with("/events/") => Room::Data,
        _ => Room::Page,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn gate() -> Gate {
        Gate {
            port: 7373,
            is_exposed: false,
            is_open: false,
            is_metrics_open: false,
            is_read_only: false,
            token: Token::new().unwrap(),
        }
    }

    fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn page(gate: &Gate, uri: &str, headers: &[(&str, &str)]) -> u16 {
        gate.check(&request(uri, headers), Room::Page)
            .map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    #[test]
    fn only_names_of_this_machine_pass() {
        let gate = gate();
        for host in ["localhost:7373", "LOCALHOST:7373", "127.0.0.1:7373", "[::1]:7373", "127.1.2.3:7373"] {
            assert_eq!(page(&gate, "/", &[("host", host)]), 200, "{host}");
        }
        for host in [
            "localhost",
            "localhost:80",
            "evil.example:7373",
            "localhost.evil.example:7373",
            "127.0.0.1.evil.example:7373",
            "192.168.0.1:7373",
            "evil@localhost:7373",
            "localhost:7373:7373",
            "[::1:7373",
            "",
        ] {
            assert_eq!(page(&gate, "/", &[("host", host)]), 421, "{host}");
        }
        assert_eq!(page(&gate, "/", &[]), 400);
        assert_eq!(page(&gate, "/", &[("host", "localhost:7373"), ("host", "evil.example:7373")]), 400);
        assert_eq!(page(&gate, "http://evil.example:7373/", &[("host", "localhost:7373")]), 421);
        assert_eq!(page(&gate, "http://localhost:7373/", &[("host", "localhost:7373")]), 200);
    }

    #[test]
    fn an_exposed_one_is_asked_by_any_address_but_by_no_name() {
        let gate = Gate { is_exposed: true, ..gate() };
        assert_eq!(page(&gate, "/", &[("host", "192.168.0.1:7373")]), 200);
        assert_eq!(page(&gate, "/", &[("host", "evil.example:7373")]), 421);
    }

    #[test]
    fn other_pages_are_refused() {
        let gate = Gate { is_open: true, ..gate() };
        let ask = |name: &str, value: &str, room| {
            gate.check(&request("/", &[("host", "localhost:7373"), (name, value)]), room).is_ok()
        };
        assert!(ask("origin", "http://localhost:7373", Room::Data));
        for origin in ["null", "http://localhost:8000", "https://localhost:7373", "http://evil.example"] {
            assert!(!ask("origin", origin, Room::Data), "{origin}");
            assert!(!ask("origin", origin, Room::Page), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(!ask("sec-fetch-site", site, Room::Data));
            assert!(ask("sec-fetch-site", site, Room::Page), "a link");
        }
        assert!(
            ask("sec-fetch-site", "same-origin", Room::Data) && ask("sec-fetch-site", "none", Room::Data)
        );
    }

    #[test]
    fn each_room_has_its_key() {
        let ask = |gate: &Gate, word: &str, room| {
            let headers = [("host", "localhost:7373"), ("authorization", word)];
            gate.check(&request("/", &headers), room).map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
        };
        let all = |gate: &Gate, word: &str| {
            [Room::Page, Room::Data, Room::Metrics, Room::Changes].map(|room| ask(gate, word, room))
        };
        let shut = gate();
        let right = format!("Bearer {}", shut.token.text());
        assert_eq!(all(&shut, &right), [200; 4]);
        for wrong in
            ["", "Bearer", "Bearer ", "Basic x", &right[1..], &right[..right.len() - 1], shut.token.text()]
        {
            assert_eq!(all(&shut, wrong), [200, 401, 401, 401], "{wrong}");
        }
        assert_eq!(all(&Gate { is_metrics_open: true, ..gate() }, ""), [200, 401, 200, 401]);
        assert_eq!(all(&Gate { is_open: true, is_metrics_open: true, ..gate() }, ""), [200, 200, 200, 401]);
        let read_only = Gate { is_read_only: true, ..gate() };
        let right = format!("Bearer {}", read_only.token.text());
        assert_eq!(all(&read_only, &right), [200, 200, 200, 403]);
    }

    #[test]
    fn paths_are_in_their_rooms() {
        for (path, own) in [
            ("/", Room::Page),
            ("/app.js", Room::Page),
            ("/api/scene", Room::Data),
            ("/events", Room::Data),
            ("/events/3", Room::Data),
            ("/metrics", Room::Metrics),
        ] {
            assert_eq!(room(&Method::GET, path), own, "{path}");
        }
        assert_eq!(room(&Method::POST, "/api/remove"), Room::Changes);
        assert_eq!(room(&Method::POST, "/"), Room::Changes);
    }
}
