//! Connection strings: URLs, and `name=value` pairs, as libpq reads them. Messages show no part of them.

use super::{CONNECTION, Parameters, invalid};
use crate::server::config_error::ConfigError;

const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];

/// Reads a URL or a connection string.
pub(super) fn parse(text: &str, parameters: &mut Parameters) -> Result<(), ConfigError> {
    match SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => url(rest, parameters),
        None if text.contains("://") || !text.contains('=') => Err(invalid(
            CONNECTION,
            "it is neither a URL (postgresql://ROLE@HOST:PORT/DATABASE) nor a connection string",
        )),
        None => pairs(text, parameters),
    }
}

/// Reads a URL after its scheme: `[user[:password]@][host][:port][/dbname][?name=value&...]`.
fn url(rest: &str, parameters: &mut Parameters) -> Result<(), ConfigError> {
    let (before, query) = rest.split_once('?').map_or((rest, None), |(before, query)| (before, Some(query)));
    let (authority, path) =
        before.split_once('/').map_or((before, None), |(before, path)| (before, Some(path)));
    let (user, server) =
        authority.rsplit_once('@').map_or((None, authority), |(user, server)| (Some(user), server));
    let mut set = |name: &str, text: &str| -> Result<(), ConfigError> {
        let value = decoded(text)?;
        if !value.is_empty() {
            parameters.set(name, &value);
        }
        Ok(())
    };
    if let Some(user) = user {
        let (user, password) =
            user.split_once(':').map_or((user, None), |(user, secret)| (user, Some(secret)));
        set("user", user)?;
        set("password", password.unwrap_or_default())?;
    }
    let (host, port) = match server.strip_prefix('[') {
        Some(address) => {
            let (address, port) = address
                .split_once(']')
                .ok_or_else(|| invalid(CONNECTION, "an address has no closing bracket"))?;
            (address, port.strip_prefix(':').unwrap_or_default())
        }
        None => server.rsplit_once(':').unwrap_or((server, "")),
    };
    set("host", host)?;
    set("port", port)?;
    set("dbname", path.unwrap_or_default())?;
    for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| invalid(CONNECTION, "a parameter after the question mark has no value"))?;
        match (decoded(name)?.as_str(), value) {
            // As JDBC writes it, and libpq reads it.
            ("ssl", "true") => set("sslmode", "require")?,
            (name, value) => set(name, value)?,
        }
    }
    Ok(())
}

/// The text of a part of a URL.
fn decoded(text: &str) -> Result<String, ConfigError> {
    let wrong =
        || invalid(CONNECTION, "a percent sign is not followed by two hexadecimal digits of UTF-8 text");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(wrong)?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(|byte| *byte != 0 && !digits.starts_with('+'));
        bytes.push(byte.ok_or_else(wrong)?);
        rest = after.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// Reads `name = value` pairs. A value may be in single quotes; a backslash takes the next character as it is.
fn pairs(text: &str, parameters: &mut Parameters) -> Result<(), ConfigError> {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) =
            rest.split_once('=').ok_or_else(|| invalid(CONNECTION, "a parameter has no value"))?;
        let name = name.trim_end();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(invalid(CONNECTION, "a parameter has no name or no value"));
        }
        let (value, after) = value(after.trim_start())?;
        parameters.set(name, &value);
        rest = after.trim_start();
    }
    Ok(())
}

/// The value at the beginning of the text, and the text after it.
fn value(text: &str) -> Result<(String, &str), ConfigError> {
    let is_quoted = text.starts_with('\'');
    let mut chars = text.char_indices().skip(usize::from(is_quoted));
    let mut value = String::new();
    while let Some((place, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            '\'' if is_quoted => return Ok((value, text.get(place + 1..).unwrap_or_default())),
            c if c.is_whitespace() && !is_quoted => {
                return Ok((value, text.get(place..).unwrap_or_default()));
            }
            c => value.push(c),
        }
    }
    if is_quoted { Err(invalid(CONNECTION, "a quote is not closed")) } else { Ok((value, "")) }
}
