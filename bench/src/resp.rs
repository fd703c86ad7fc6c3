//! Just enough of the Redis protocol (RESP2) for `SUBSCRIBE`, `PUBLISH` and their answers.

/// One answer or push of Redis.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// A number: how many subscribers a `PUBLISH` reached.
    Integer(u64),
    /// An event on a subscribed topic.
    Message { topic: &'a [u8], payload: &'a [u8] },
    /// From now on events on this topic arrive.
    Subscribed { topic: &'a [u8] },
}

impl<'a> Reply<'a> {
    /// The first reply of `input` and its length in bytes, or none while it is incomplete.
    ///
    /// # Errors
    ///
    /// Anything else than the three replies above, an error from Redis among it.
    pub(crate) fn parse(input: &'a [u8]) -> Result<Option<(Self, usize)>, String> {
        let mut rest = input;
        let Some(reply) = Self::take(&mut rest)? else { return Ok(None) };
        Ok(Some((reply, input.len() - rest.len())))
    }

    fn take(rest: &mut &'a [u8]) -> Result<Option<Self>, String> {
        let Some((kind, number)) = header(rest)? else { return Ok(None) };
        match (kind, number) {
            (b':', count) => return Ok(Some(Self::Integer(count))),
            (b'*', 3) => {}
            (kind, _) => return Err(format!("an unexpected reply of Redis of type '{}'", char::from(kind))),
        }
        let Some(name) = bulk(rest)? else { return Ok(None) };
        let Some(topic) = bulk(rest)? else { return Ok(None) };
        match name {
            b"message" => Ok(bulk(rest)?.map(|payload| Self::Message { topic, payload })),
            b"subscribe" => Ok(header(rest)?.map(|_| Self::Subscribed { topic })),
            name => Err(format!("an unexpected push of Redis: {}", String::from_utf8_lossy(name))),
        }
    }
}

/// Appends a command in the form that Redis reads fastest.
pub(crate) fn write_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn bulk<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, String> {
    let length = match header(rest)? {
        None => return Ok(None),
        Some((b'$', length)) => length as usize,
        Some((kind, _)) => return Err(format!("type '{}' where Redis sends a string", char::from(kind))),
    };
    let Some((value, after)) = rest.split_at_checked(length) else { return Ok(None) };
    let Some((_end, after)) = after.split_at_checked(2) else { return Ok(None) };
    *rest = after;
    Ok(Some(value))
}

fn header(rest: &mut &[u8]) -> Result<Option<(u8, u64)>, String> {
    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
    let (line, after) = rest.split_at(end + 1);
    let [kind, digits @ .., b'\r', b'\n'] = line else { return Err("a broken reply of Redis".into()) };
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    let Some(number) = number else { return Err(String::from_utf8_lossy(line).trim_end().to_owned()) };
    *rest = after;
    Ok(Some((*kind, number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_whole_and_only_whole() {
        let message = Reply::Message { topic: b"bot:1", payload: b"{}\r\n" };
        for (bytes, expected) in [
            (&b":12\r\n"[..], Reply::Integer(12)),
            (b"*3\r\n$7\r\nmessage\r\n$5\r\nbot:1\r\n$4\r\n{}\r\n\r\n", message),
            (b"*3\r\n$9\r\nsubscribe\r\n$5\r\nbot:1\r\n:1\r\n", Reply::Subscribed { topic: b"bot:1" }),
        ] {
            assert_eq!(Reply::parse(bytes), Ok(Some((expected, bytes.len()))));
            for cut in 0..bytes.len() {
                assert_eq!(Reply::parse(&bytes[..cut]), Ok(None), "{cut} bytes of {bytes:?}");
            }
        }
    }

    #[test]
    fn an_error_of_redis_is_told_in_its_words() {
        assert_eq!(Reply::parse(b"-ERR unknown\r\n"), Err("-ERR unknown".into()));
    }

    #[test]
    fn a_command_is_an_array_of_strings() {
        let mut out = Vec::new();
        write_command(&mut out, &[b"PUBLISH", b"bot:1", b"{}"]);
        assert_eq!(out, b"*3\r\n$7\r\nPUBLISH\r\n$5\r\nbot:1\r\n$2\r\n{}\r\n");
    }
}
