//! Saved replies, as `curl -i` writes them or with a body alone.

/// A saved HTTP reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The status code; `None` when the file is a body alone.
    pub code: Option<u16>,
    /// Headers with lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body of the reply.
    pub body: Vec<u8>,
}

impl Captured {
    /// Parses a file. Interim responses (`100 Continue`) are left out; a file that does not begin with a status line is a
    /// body.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let mut last = None;
        while let Some((code, headers, body)) = head(rest) {
            last = Some((code, headers));
            rest = body;
            if !(100..200).contains(&code) {
                break;
            }
        }
        let (code, headers) =
            last.map_or((None, Vec::new()), |(code, headers)| (Some(code), headers));
        Self {
            code,
            headers,
            body: rest.to_vec(),
        }
    }
}

/// The status code, the headers, and all that follows the empty line.
type Head<'a> = (u16, Vec<(String, String)>, &'a [u8]);

fn head(bytes: &[u8]) -> Option<Head<'_>> {
    let mut rest = bytes;
    let status = line(&mut rest)?;
    let mut words = status.split_whitespace();
    if !words.next()?.starts_with("HTTP/") {
        return None;
    }
    let code = words
        .next()?
        .parse()
        .ok()
        .filter(|code| (100..=999).contains(code))?;
    let mut headers = Vec::new();
    while let Some(line) = line(&mut rest) {
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    Some((code, headers, rest))
}

/// Removes the first line and returns it without its end, or `None` at the end of the bytes.
fn line(rest: &mut &[u8]) -> Option<String> {
    if rest.is_empty() {
        return None;
    }
    let end = rest.iter().position(|byte| *byte == b'\n');
    let (line, after) = match end {
        Some(end) => (rest.get(..end)?, rest.get(end + 1..)?),
        None => (*rest, [].as_slice()),
    };
    *rest = after;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Some(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::Captured;

    #[test]
    fn files() {
        let server = || vec![("server".to_owned(), "x: y".to_owned())];
        let cases: &[(&[u8], Option<u16>, _, &[u8])] = &[
            (
                b"HTTP/1.1 200 OK\r\nServer: x: y\r\n\r\n{}\r\n",
                Some(200),
                server(),
                b"{}\r\n",
            ),
            (
                b"HTTP/1.0 503 \nserver:x: y\n\ndown",
                Some(503),
                server(),
                b"down",
            ),
            (b"HTTP/2 204\r\n\r\n", Some(204), vec![], b""),
            (
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nServer: x: y\r\n\r\nok",
                Some(200),
                server(),
                b"ok",
            ),
            (b"HTTP/1.1 200 OK\r\nServer: x: y", Some(200), server(), b""),
            (b"{\"status\":\"ok\"}", None, vec![], b"{\"status\":\"ok\"}"),
            (
                b"HTTP/1.1 okay\r\n\r\n",
                None,
                vec![],
                b"HTTP/1.1 okay\r\n\r\n",
            ),
            (b"", None, vec![], b""),
            (b"\xff\xfe", None, vec![], b"\xff\xfe"),
        ];
        for (bytes, code, headers, body) in cases {
            let expected = Captured {
                code: *code,
                headers: headers.clone(),
                body: body.to_vec(),
            };
            assert_eq!(
                Captured::parse(bytes),
                expected,
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
