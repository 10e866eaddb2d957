//! A server of the test's own, and as much of HTTP as it takes to ask it what no library would ask.
#![allow(unreachable_pub, reason = "as in the modules beside it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::common::{Running, World, document};

pub struct Server {
    pub running: Running,
    pub port: u16,
    pub token: String,
}

pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Server {
    /// On any port that is free.
    pub fn start(world: &World, words: &str) -> Server {
        let mut running = world.start(&format!("serve --port 0 --every 100ms {words}"));
        let mut line = String::new();
        BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (address, token) = line.trim_end().split_once("/#token=").unwrap_or_else(|| {
            let mut said = String::new();
            let _ = running.0.stderr.take().unwrap().read_to_string(&mut said);
            panic!("{line:?} {said}")
        });
        let port = address.strip_prefix("http://127.0.0.1:").unwrap().parse().unwrap();
        Server { running, port, token: token.to_owned() }
    }

    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.get_as(path, &format!("127.0.0.1:{}", self.port), headers)
    }

    pub fn get_as(&self, path: &str, host: &str, headers: &[(&str, &str)]) -> Answer {
        ask(self.port, "GET", path, host, headers, "").unwrap()
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        ask(self.port, "POST", path, &format!("127.0.0.1:{}", self.port), headers, body).unwrap()
    }

    pub fn authorized(&self, path: &str) -> Answer {
        self.get(path, &[("Authorization", &self.bearer())])
    }

    pub fn json(&self, path: &str) -> Value {
        let answer = self.authorized(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{path}");
        // `/api/segment/3` is as `/api/segment` says.
        let words = path.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('/');
        document(&format!("serve {words}"), &answer.body)
    }

    pub fn scene(&self) -> Value {
        self.json("/api/scene")
    }

    /// One in which this segment is: the last one may be a moment old.
    pub fn fresh_scene(&self, id: &str) -> Value {
        for _ in 0..1000 {
            let scene = self.scene();
            let is_it = |one: &Value| one["id"].as_i64() == id.parse().ok();
            if scene["segments"].as_array().unwrap().iter().any(is_it) {
                return scene;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("id {id} does not come into view");
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// None if the server closes the connection without an answer.
pub fn try_get(server: &Server, path: &str) -> Option<Answer> {
    ask(server.port, "GET", path, &format!("127.0.0.1:{}", server.port), &[], "").ok()
}

fn send(
    port: u16,
    method: &str,
    path: &str,
    host: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if method == "POST" {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    // A server that refuses early closes before it has read all.
    let _ = stream.write_all(text.as_bytes());
    Ok(stream)
}

fn ask(
    port: u16,
    method: &str,
    path: &str,
    host: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Answer> {
    let mut reader = BufReader::new(send(port, method, path, host, headers, body)?);
    let (status, headers) = head(&mut reader)?;
    let mut bytes = Vec::new();
    let ended = reader.read_to_end(&mut bytes);
    // Of one who refused early, what came before the reset counts.
    if bytes.is_empty() && status < 400 {
        ended?;
    }
    Ok(Answer { status, headers, body: String::from_utf8(bytes).unwrap() })
}

type Head = (u16, Vec<(String, String)>);

fn head(reader: &mut impl BufRead) -> std::io::Result<Head> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines[1..].iter().map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    Ok((status, headers.collect()))
}

/// Server-sent events.
pub struct Stream(BufReader<TcpStream>);

impl Stream {
    pub fn open(server: &Server, path: &str) -> Stream {
        let (host, token) = (format!("127.0.0.1:{}", server.port), server.bearer());
        let stream = send(server.port, "GET", path, &host, &[("Authorization", &token)], "").unwrap();
        let mut reader = BufReader::new(stream);
        let (status, headers) = head(&mut reader).unwrap();
        assert_eq!(status, 200);
        assert!(
            headers.contains(&("content-type".to_owned(), "text/event-stream".to_owned())),
            "{headers:?}"
        );
        Stream(reader)
    }

    /// The data of the next event of this name.
    pub fn expect(&mut self, name: &str) -> Value {
        let wanted = format!("event: {name}\n");
        let mut is_next = false;
        loop {
            // The sizes of chunks stand on lines of their own, and are passed over with the other events.
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended before {name}");
            match line.strip_prefix("data: ") {
                Some(data) if is_next => return document(&format!("serve /events {name}"), data),
                Some(_) => {}
                None => is_next |= line == wanted,
            }
        }
    }

    /// Reads what is left.
    pub fn is_at_end(&mut self) -> bool {
        self.0.read_to_end(&mut Vec::new()).is_ok()
    }
}
