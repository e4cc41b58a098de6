//! Bytes of numbers and texts: unsigned numbers in base 128, signed ones folded, texts with their length. Reading never panics and never
//! takes more memory than there are bytes.

/// Bytes that are being written.
#[derive(Debug, Default)]
pub(crate) struct Wire(pub Vec<u8>);

impl Wire {
    pub fn unsigned(&mut self, mut value: u128) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn count(&mut self, value: usize) {
        self.unsigned(value as u128);
    }

    pub fn signed(&mut self, value: i128) {
        self.unsigned((value << 1 ^ value >> 127) as u128);
    }

    pub fn float(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    pub fn word(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.0.extend_from_slice(value);
    }

    pub fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }
}

/// Bytes that are being read. Errors are sentences without a place.
#[derive(Debug, Clone)]
pub(crate) struct Read<'a> {
    all: &'a [u8],
    at: usize,
}

pub(crate) type Said<T> = Result<T, String>;

impl<'a> Read<'a> {
    pub fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    pub fn is_at_end(&self) -> bool {
        self.at == self.all.len()
    }

    /// Where it is, for messages.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn take(&mut self, n: usize) -> Said<&'a [u8]> {
        let left = self.all.len() - self.at;
        if n > left {
            return Err(format!("expected {n} more bytes, found {left}"));
        }
        self.at += n;
        Ok(&self.all[self.at - n..self.at])
    }

    /// So many bytes, by value.
    pub fn array<const N: usize>(&mut self) -> Said<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    pub fn byte(&mut self) -> Said<u8> {
        self.take(1).map(|b| b[0])
    }

    pub fn unsigned(&mut self) -> Said<u128> {
        // Most take one byte.
        if let Some(byte) = self.all.get(self.at).filter(|byte| **byte < 0x80) {
            self.at += 1;
            return Ok(u128::from(*byte));
        }
        let mut value = 0u128;
        for shift in (0..).step_by(7) {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7f);
            if shift >= 128 || part << shift >> shift != part {
                return Err("expected a number of at most 128 bits".to_owned());
            }
            value |= part << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }

    /// A number of a narrower type.
    pub fn number<T: TryFrom<u128>>(&mut self) -> Said<T> {
        let value = self.unsigned()?;
        T::try_from(value).map_err(|_| format!("a number is too large here: {value}"))
    }

    /// How many things follow, each of at least `least` bytes.
    pub fn count(&mut self, least: usize) -> Said<usize> {
        let count: usize = self.number()?;
        let left = self.all.len() - self.at;
        if count.saturating_mul(least.max(1)) > left {
            return Err(format!("{count} entries of at least {least} bytes announced, {left} bytes left"));
        }
        Ok(count)
    }

    pub fn signed<T: TryFrom<i128>>(&mut self) -> Said<T> {
        let folded = self.unsigned()?;
        let value = (folded >> 1) as i128 ^ -((folded & 1) as i128);
        T::try_from(value).map_err(|_| format!("a number is too large here: {value}"))
    }

    pub fn word(&mut self) -> Said<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn float(&mut self) -> Said<f64> {
        self.word().map(f64::from_bits)
    }

    pub fn bytes(&mut self) -> Said<&'a [u8]> {
        let n = self.count(1)?;
        self.take(n)
    }

    pub fn text(&mut self) -> Said<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "expected UTF-8".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(u in any::<u128>(), i in any::<i128>(), f in any::<f64>(), t in ".{0,20}") {
            let mut wire = Wire::default();
            wire.unsigned(u);
            wire.signed(i);
            wire.float(f);
            wire.text(&t);
            wire.signed(i);
            let mut read = Read::new(&wire.0);
            prop_assert_eq!((read.unsigned(), read.signed::<i128>()), (Ok(u), Ok(i)));
            prop_assert_eq!(read.float().map(f64::to_bits), Ok(f.to_bits()));
            prop_assert_eq!((read.text(), read.signed::<i128>()), (Ok(t.as_str()), Ok(i)));
            prop_assert!(read.is_at_end() && read.byte().is_err());
        }

        #[test]
        fn nonsense_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut read = Read::new(&bytes);
            while !read.is_at_end() && read.text().is_ok() && read.signed::<i32>().is_ok() {}
            prop_assert!(read.at() <= bytes.len());
        }
    }
}
