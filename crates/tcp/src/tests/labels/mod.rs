//! RFC 9293 by its labels: `MUST-n`, `SHLD-n`, `MAY-n`, `REC-n`.
