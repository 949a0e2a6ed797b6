// Reads the message kinds that a folder's messages.ts declares, as text: what goes over the wire between versions.
// By syntax alone: members of exported unions and exported interfaces with a literal `kind`, fields with their written types.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** Returns one line for each kind: `kind { field: type; … }`, sorted. Doc comments and line breaks do not count. */
export function contractsOf(source: string): string[] {
  const file = ts.createSourceFile('messages.ts', source, ts.ScriptTarget.ES2023, true);
  const lines = file.statements.flatMap((statement) => {
    if (ts.isInterfaceDeclaration(statement)) return linesOf(statement.members);
    return ts.isTypeAliasDeclaration(statement) ? linesOfType(statement.type) : [];
  });
  return [...new Set(lines)].sort();
}

/** Returns the contracts of all `<folder>/*` + `/messages.ts` below `root`, one section for each. */
export function contractsBelow(root: string, folder: string): string {
  const sections = readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${folder}/${entry.name}/messages.ts`)
    .filter((path) => existsSync(join(root, path)))
    .sort()
    .map((path) => {
      const lines = contractsOf(readFileSync(join(root, path), 'utf8'));
      return [`# ${path}`, ...lines, ''].join('\n');
    });
  return sections.join('\n');
}

function linesOfType(type: ts.TypeNode): string[] {
  if (ts.isUnionTypeNode(type)) return type.types.flatMap(linesOfType);
  if (ts.isParenthesizedTypeNode(type)) return linesOfType(type.type);
  if (ts.isTypeLiteralNode(type)) return linesOf(type.members);
  if (!ts.isIntersectionTypeNode(type)) return [];
  const members = type.types.flatMap((part) => (ts.isTypeLiteralNode(part) ? part.members : []));
  const named = type.types.filter(ts.isTypeReferenceNode).map((part) => `...${textOf(part)}`);
  return linesOf(members, named);
}

function linesOf(members: readonly ts.TypeElement[], more: readonly string[] = []): string[] {
  const properties = members.filter(ts.isPropertySignature);
  const kind = properties.find((property) => property.name.getText() === 'kind');
  const fields = properties
    .filter((property) => property !== kind)
    .map((property) => {
      const mark = property.questionToken === undefined ? '' : '?';
      const type = property.type === undefined ? 'unknown' : textOf(property.type);
      return `${property.name.getText()}${mark}: ${type}`;
    });
  const body = [...more, ...fields].join('; ');
  return literalsOf(kind?.type).map((name) => (body === '' ? `${name} {}` : `${name} { ${body} }`));
}

function literalsOf(type: ts.TypeNode | undefined): string[] {
  if (type === undefined) return [];
  if (ts.isUnionTypeNode(type)) return type.types.flatMap(literalsOf);
  return ts.isLiteralTypeNode(type) && ts.isStringLiteral(type.literal) ? [type.literal.text] : [];
}

/** The type as written, comments out, white space and optional leading bars made one. */
function textOf(node: ts.Node): string {
  return node
    .getText()
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    .replace(/\s+/g, ' ')
    .replace(/^\| /, '')
    .replace(/([<([{]) \| /g, '$1 ')
    .replace(/;? \}/g, ' }')
    .trim();
}
