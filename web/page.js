// The live page: signs in, shows entities, checks and alarms, and follows the tenant's stream of changes.
// A client of the API like any other. Builds the document node by node: no text from outside becomes markup.
import { followCluster } from './cluster.js';

const states = ['CRITICAL', 'WARNING', 'OK', 'UNKNOWN'];
const pageSize = 100;
const changesMax = 50;
const rereadMs = 5000;

const $ = (id) => document.getElementById(id);
const board = {
  session: null,
  entities: new Map(),
  marker: null,
  nextMarker: null,
  lastEventId: null,
  abort: null,
};

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

async function call(path, options = {}) {
  const { session } = board;
  const answer = await fetch(`/v1.0/${encodeURIComponent(session.tenant)}${path}`, {
    ...options,
    headers: { 'X-Auth-Token': session.token, Accept: 'application/json', ...options.headers },
  });
  if (answer.status === 401) {
    leave();
    throw new Error('signed out');
  }
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer;
}

async function signIn(username, apiKey) {
  const answer = await fetch('/v2.0/tokens', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ auth: { 'RAX-KSKEY:apiKeyCredentials': { username, apiKey } } }),
  });
  if (!answer.ok)
    throw new Error(
      answer.status === 401 ? 'User or key is wrong.' : `The server answered ${answer.status}.`,
    );
  const { access } = await answer.json();
  const isOperator = access.user.roles.some((role) => role.name === 'operator');
  const { token, user } = access;
  return { token: token.id, tenant: token.tenant.id, user: user.name, isOperator };
}

function leave() {
  board.abort?.abort();
  sessionStorage.removeItem('tocsin');
  location.reload();
}

function showLink(state, text) {
  $('link').dataset.state = state;
  $('link').textContent = text;
}

function worst(alarms) {
  return states.find((state) => alarms.some((alarm) => alarm.state === state)) ?? 'UNKNOWN';
}

function showSums() {
  const counts = new Map(states.map((state) => [state, 0]));
  for (const { alarms } of board.entities.values()) {
    for (const alarm of alarms.values())
      counts.set(alarm.state, (counts.get(alarm.state) ?? 0) + 1);
  }
  $('sums').replaceChildren(
    ...states.map((state) =>
      element(
        'div',
        { class: 'card sum', 'data-alarm': state },
        element('b', {}, String(counts.get(state))),
        state,
      ),
    ),
  );
}

function checkText(check) {
  const target = check.target_hostname ?? check.target_alias ?? check.details?.url ?? '';
  return `${check.type} ${target} every ${check.period} s${check.disabled ? ', disabled' : ''}`;
}

function alarmRow(entity, check, alarm, fresh) {
  const badge = element(
    'button',
    { class: 'badge', type: 'button', 'data-alarm': alarm.state, 'data-id': alarm.alarm_id },
    alarm.state,
  );
  badge.addEventListener('click', () => explain(entity.id, alarm));
  return element(
    'tr',
    { 'data-alarm': alarm.state, class: fresh ? 'fresh' : null },
    element('td', {}, alarm.alarm_label ?? check?.label ?? alarm.alarm_id),
    element('td', {}, badge),
    element('td', {}, alarm.status ?? ''),
  );
}

function entityCard(held, freshAlarm) {
  const { entity, checks, alarms } = held;
  const rows = [];
  for (const check of checks) {
    rows.push(
      element(
        'tr',
        {},
        element('td', {}, check.label ?? check.id),
        element('td', {}),
        element('td', { class: 'quiet' }, held.seen.get(check.id) ?? checkText(check)),
      ),
    );
    for (const alarm of alarms.values()) {
      if (alarm.check_id === check.id)
        rows.push(alarmRow(entity, check, alarm, alarm.alarm_id === freshAlarm));
    }
  }
  const state = worst([...alarms.values()]);
  return element(
    'article',
    { class: 'card entity', 'data-alarm': state, 'data-entity': entity.id },
    element('h3', {}, entity.label, element('code', {}, entity.id)),
    rows.length === 0
      ? element('p', { class: 'quiet' }, 'no checks yet')
      : element('table', {}, element('tbody', {}, ...rows)),
  );
}

function showEntity(id, freshAlarm = null) {
  const held = board.entities.get(id);
  const card = document.querySelector(`[data-entity="${CSS.escape(id)}"]`);
  if (held === undefined) {
    card?.remove();
    return;
  }
  const made = entityCard(held, freshAlarm);
  if (card === null) $('entities').append(made);
  else card.replaceWith(made);
  applyFilter();
}

function applyFilter() {
  const wanted = $('filter').value.trim().toLowerCase();
  for (const card of $('entities').children)
    card.hidden = wanted !== '' && !card.textContent.toLowerCase().includes(wanted);
}

function hold(item) {
  const seen = board.entities.get(item.entity.id)?.seen ?? new Map();
  const alarms = new Map(item.latest_alarm_states.map((state) => [state.alarm_id, { ...state }]));
  board.entities.set(item.entity.id, { entity: item.entity, checks: item.checks, alarms, seen });
}

async function readOverview() {
  const query = new URLSearchParams({ limit: String(pageSize) });
  if (board.marker !== null) query.set('marker', board.marker);
  const page = await (await call(`/views/overview?${query}`)).json();
  board.nextMarker = page.metadata.next_marker;
  board.entities.clear();
  for (const item of page.values) hold(item);
  $('entities').replaceChildren();
  for (const id of board.entities.keys()) showEntity(id);
  $('next').hidden = board.nextMarker === null && board.marker === null;
  $('next').textContent = board.nextMarker === null ? 'First page' : 'Next page';
  $('empty').hidden = board.entities.size > 0;
  showSums();
}

/** Entities and checks come and go without an event: the page reads its part of the overview again now and then. */
async function reread() {
  const query = new URLSearchParams({ limit: String(pageSize) });
  if (board.marker !== null) query.set('marker', board.marker);
  const page = await (await call(`/views/overview?${query}`)).json();
  const present = new Set(page.values.map((item) => item.entity.id));
  for (const id of [...board.entities.keys()]) {
    if (!present.has(id)) {
      board.entities.delete(id);
      showEntity(id);
    }
  }
  for (const item of page.values) {
    const before = JSON.stringify(board.entities.get(item.entity.id), mapsAsLists);
    hold(item);
    if (JSON.stringify(board.entities.get(item.entity.id), mapsAsLists) !== before)
      showEntity(item.entity.id);
  }
  board.nextMarker = page.metadata.next_marker;
  $('empty').hidden = board.entities.size > 0;
  showSums();
}

function mapsAsLists(_key, value) {
  return value instanceof Map ? [...value] : value;
}

function addChange(change) {
  const label = board.entities.get(change.entity_id)?.entity.label ?? change.entity_id;
  const item = element(
    'li',
    { 'data-alarm': change.state },
    element(
      'time',
      { datetime: new Date(change.timestamp).toISOString() },
      new Date(change.timestamp).toLocaleString(),
    ),
    element('strong', {}, label),
    ` ${change.previous_state} → ${change.state}`,
    element('div', { class: 'quiet' }, change.status ?? ''),
  );
  $('changes').prepend(item);
  while ($('changes').children.length > changesMax) $('changes').lastChild.remove();
}

function onChange(change) {
  addChange(change);
  const held = board.entities.get(change.entity_id);
  if (held === undefined) return;
  const known = held.alarms.get(change.alarm_id);
  held.alarms.set(change.alarm_id, { ...(known ?? { alarm_label: null }), ...change });
  showEntity(change.entity_id, change.alarm_id);
  showSums();
}

async function explain(entityId, alarm) {
  const text = await (await call(`/entities/${entityId}/alarms/${alarm.alarm_id}/explain`)).json();
  $('why-title').textContent = `${alarm.alarm_label ?? alarm.alarm_id}: ${text.state}`;
  $('why-list').replaceChildren(...text.why.map((sentence) => element('li', {}, sentence)));
  $('why').showModal();
}

/** Reads server-sent events from a response body; calls `onEvent` for each complete one. */
async function readEvents(body, onEvent) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { event: 'message', id: null, data: '' };
      for (const line of block.split('\n')) {
        const at = line.indexOf(':');
        if (at > 0) event[line.slice(0, at)] = line.slice(at + 1).trimStart();
      }
      if (event.data !== '') onEvent(event);
    }
  }
}

async function follow() {
  const seen = new Set();
  for (let wait = 500; ; wait = Math.min(wait * 2, 10_000)) {
    board.abort = new AbortController();
    try {
      const headers = { Accept: 'text/event-stream' };
      if (board.lastEventId !== null) headers['Last-Event-ID'] = board.lastEventId;
      const answer = await call('/stream', { headers, signal: board.abort.signal });
      showLink('live', 'live');
      wait = 500;
      await readOverview();
      await readEvents(answer.body, (event) => {
        if (event.id === null || seen.has(event.id)) return;
        seen.add(event.id);
        if (seen.size > 5000) seen.delete(seen.values().next().value);
        board.lastEventId = event.id;
        onChange(JSON.parse(event.data));
      });
    } catch {
      // The next round says what is wrong: the link is shown as lost until it is back.
    }
    showLink('lost', 'connection lost, trying again');
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

async function start() {
  $('sign-in').hidden = true;
  $('board').hidden = false;
  $('leave').hidden = false;
  $('tenant').textContent = `tenant ${board.session.tenant}, ${board.session.user}`;
  if (board.session.isOperator) void followCluster(board.session);
  await readOverview();
  const changes = await (await call(`/changelogs/alarms?reverse=true&limit=${changesMax}`)).json();
  for (const change of changes.values.reverse()) addChange(change);
  setInterval(
    () => reread().catch(() => showLink('lost', 'connection lost, trying again')),
    rereadMs,
  );
  await follow();
}

$('leave').addEventListener('click', leave);
$('filter').addEventListener('input', applyFilter);
$('next').addEventListener('click', () => {
  board.marker = board.nextMarker;
  void readOverview();
});
$('sign-in-form').addEventListener('submit', async (submit) => {
  submit.preventDefault();
  try {
    board.session = await signIn($('user').value, $('key').value);
    sessionStorage.setItem('tocsin', JSON.stringify(board.session));
    await start();
  } catch (error) {
    $('sign-in-error').textContent = error.message;
  }
});

const stored = sessionStorage.getItem('tocsin');
if (stored === null) $('sign-in').hidden = false;
else {
  board.session = JSON.parse(stored);
  void start();
}
