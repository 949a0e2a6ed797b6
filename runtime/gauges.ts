// What the actors of a node show in `/metrics`.
import type { Catalog } from './catalog.ts';
import type { Meter } from './ports.ts';
import type { Router } from './router.ts';

/** Registers the gauges of catalog and router. */
export function actorGauges(meter: Meter, catalog: Catalog, router: Router): void {
  meter.gauge('activations', () => catalog.counts().activations);
  meter.gauge('actors_quarantined', () => catalog.counts().quarantined);
  meter.gauge('actors_paused', () => catalog.counts().paused);
  meter.gauge('messages_waiting', () => catalog.counts().messagesWaiting);
  meter.gauge('commits_pending', () => catalog.counts().commitsPending);
  meter.gauge('asks_pending', () => router.pending);
}
