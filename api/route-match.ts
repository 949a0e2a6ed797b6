// Which methods a path has, for 404 against 405. Only asked where no route matched method and path together.
import type { Route } from './route.ts';

/** Returns a function that gives the methods of the routes that a path would match. */
export function allowedMethods(routes: readonly Route[]): (path: string) => readonly string[] {
  const table = routes.map((route) => ({ method: route.method, parts: partsOf(route.path) }));
  return (path) => {
    const parts = partsOf(path);
    const methods = table.filter((entry) => matches(entry.parts, parts)).map((e) => e.method);
    return [...new Set(methods)].sort();
  };
}

function partsOf(path: string): readonly string[] {
  return path.split('/').filter((part) => part !== '');
}

function matches(pattern: readonly string[], parts: readonly string[]): boolean {
  if (pattern.length !== parts.length) return false;
  return pattern.every((part, at) => part.startsWith(':') || part === parts[at]);
}
