// The cluster on the page, for operators: members, what mode each is in, and who did not answer.
// Builds the document node by node: no text from outside becomes markup.
const rereadMs = 5000;

const $ = (id) => document.getElementById(id);

function cell(text, attributes = {}) {
  const made = document.createElement('td');
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

/** A member that is silent or cut off is bad, one that is on its way out or limited is worth a look. */
function stateOf(member) {
  if (member.mode === null || ['dead', 'accused'].includes(member.seen)) return 'CRITICAL';
  return member.mode === 'NORMAL' && member.state === 'up' ? 'OK' : 'WARNING';
}

function memberRow(member) {
  const row = document.createElement('tr');
  row.dataset.alarm = stateOf(member);
  row.dataset.node = member.node;
  const zone = member.zone === '' ? '' : `, zone ${member.zone}`;
  const shards = `${member.shards_held ?? '?'} of ${member.shards_mapped} shards`;
  row.append(
    cell(`${member.node}${member.is_self ? ' (this node)' : ''}`),
    cell(member.mode ?? 'no answer', { class: 'mode' }),
    cell(`${member.address}${zone}, ${member.state}, ${shards}`, { class: 'quiet' }),
  );
  return row;
}

function show(info) {
  $('cluster').hidden = false;
  $('cluster-name').textContent =
    info.cluster === null ? 'A node alone' : `Cluster ${info.cluster}, view ${info.view_version}`;
  $('cluster-silent').textContent =
    info.unreachable.length === 0 ? '' : `No answer from ${info.unreachable.join(', ')}`;
  $('cluster-members').replaceChildren(...info.members.map(memberRow));
}

/** Follows the cluster's status until the page is left; `session` is that of an operator. */
export async function followCluster(session) {
  for (;;) {
    try {
      const answer = await fetch('/v1.0/operator/cluster', {
        headers: { 'X-Auth-Token': session.token, Accept: 'application/json' },
      });
      if (answer.status === 401 || answer.status === 403) return;
      if (answer.ok) show(await answer.json());
    } catch {
      // The page's link says that the node does not answer.
    }
    await new Promise((resolve) => setTimeout(resolve, rereadMs));
  }
}
