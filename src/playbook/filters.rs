//! The filters that expressions have beside `MiniJinja`'s own: what configuration files need their values wrapped in.

use base64::Engine as _;
use minijinja::{Error, ErrorKind, Value};

/// As JSON.
pub fn tojson(value: &Value) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// In base64.
pub fn b64encode(value: &Value) -> Result<String, Error> {
    let bytes = value.as_bytes().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "`b64encode` needs a text"))?;
    Ok(base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// As part of a URL, such as the password in `DATABASE_URL`: everything but RFC 3986's unreserved characters is encoded.
pub fn urlencode(text: &str) -> String {
    let form = |byte: u8| {
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if unreserved { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(form).collect()
}

/// As one word of a POSIX shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_wrapped_as_their_readers_need_them() {
        assert_eq!(tojson(&Value::from("a\"b")).unwrap(), r#""a\"b""#);
        assert_eq!(b64encode(&Value::from("key")).unwrap(), "a2V5");
        assert!(b64encode(&Value::from(1)).is_err());
        assert_eq!(urlencode("p@ss/ü~"), "p%40ss%2F%C3%BC~");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }
}
