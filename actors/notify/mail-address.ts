// What may stand in an envelope or header as a mail address: strict ASCII, so that no library can read two addresses,
// a group or a header out of it. Pure; used where addresses come in and again where mail goes out.

/** Local part: dot-separated atoms (RFC 5321), no quoting. */
const localPart =
  /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64})*$/;
const label = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** True for one plain address of at most 254 characters: atoms, `@`, a domain of ASCII labels. No name, no comment. */
export function isMailAddress(text: string): boolean {
  if (text.length > 254) return false;
  const at = text.lastIndexOf('@');
  if (at < 1 || at > 64) return false;
  return localPart.test(text.slice(0, at)) && isMailDomain(text.slice(at + 1));
}

/** True for a host name of ASCII labels, one label included (a relay in the local network). */
export function isMailDomain(text: string): boolean {
  return text !== '' && text.length <= 253 && text.split('.').every((part) => label.test(part));
}
