//! SVG to PNG.

use std::io;
use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// The fonts of the system, found once.
fn fonts() -> Arc<fontdb::Database> {
    static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    Arc::clone(FONTS.get_or_init(|| {
        let mut fonts = fontdb::Database::new();
        fonts.load_system_fonts();
        // A picture asks for a family that many systems have, and then for any of its kind.
        for (family, set) in [
            ("DejaVu Sans", fontdb::Database::set_sans_serif_family as fn(&mut fontdb::Database, String)),
            ("DejaVu Sans Mono", fontdb::Database::set_monospace_family),
        ] {
            let mono = family.ends_with("Mono");
            let is =
                |name: &str| fonts.faces().any(|face| face.families.iter().any(|(known, _)| known == name));
            let any = || {
                let face =
                    fonts.faces().find(|face| face.monospaced == mono).or_else(|| fonts.faces().next())?;
                face.families.first().map(|(name, _)| name.clone())
            };
            let chosen = if is(family) { Some(family.to_owned()) } else { any() };
            if let Some(chosen) = chosen {
                set(&mut fonts, chosen);
            }
        }
        Arc::new(fonts)
    }))
}

/// Renders a document with `scale` pixels for a unit.
pub(super) fn render(svg: &str, scale: f32) -> io::Result<Vec<u8>> {
    let fontdb = fonts();
    if fontdb.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the system has no fonts to draw a PNG with; install some (fonts-dejavu-core), or name the file .svg",
        ));
    }
    let options = Options { fontdb, ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(io::Error::other)?;
    let size = tree.size().to_int_size().scale_by(scale);
    let pixmap = size.and_then(|size| Pixmap::new(size.width(), size.height()));
    let mut pixmap = pixmap.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the picture is too large for a PNG; name the file .svg")
    })?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    pixmap.encode_png().map_err(io::Error::other)
}
