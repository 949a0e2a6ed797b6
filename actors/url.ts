// URLs of users and targets. The one reader: `URL.canParse` of Node 20 takes Latin-1 text for UTF-8 once it is optimized,
// and then says yes to what `new URL` throws on. Pure.

/** Returns the URL of a text, or null where it is none. Never throws. */
export function parseUrl(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    // The constructor says "no URL" by throwing; it throws nothing else for a string.
    return null;
  }
}
