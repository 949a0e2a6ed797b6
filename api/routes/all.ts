// The whole table of routes, in the order of the description.
import type { ApiPorts } from '../ports.ts';
import type { Route } from '../route.ts';
import { accountRoutes } from './account.ts';
import { agentRoutes } from './agent.ts';
import { alarmRoutes } from './alarm.ts';
import { alarmExampleRoutes } from './alarm-example.ts';
import { checkRoutes } from './check.ts';
import { clusterRoutes } from './cluster.ts';
import { entityRoutes } from './entity.ts';
import { historyRoutes } from './history.ts';
import { identityRoutes } from './identity.ts';
import { liveRoutes } from './live.ts';
import { metricRoutes } from './metric.ts';
import { notificationRoutes } from './notification.ts';
import { operatorRoutes } from './operator.ts';
import { planRoutes } from './plan.ts';
import { platformRoutes } from './platform.ts';
import { suppressionRoutes } from './suppression.ts';
import { typeRoutes } from './type.ts';
import { userRoutes } from './user.ts';
import { viewRoutes } from './view.ts';
import { zoneRoutes } from './zone.ts';

/** Returns every route. `describe` gives the OpenAPI document once the server is ready. */
export function allRoutes(ports: ApiPorts, describe: () => unknown): readonly Route[] {
  const routes: Route[] = [
    ...identityRoutes,
    ...accountRoutes,
    ...entityRoutes,
    ...checkRoutes,
    ...alarmRoutes,
    ...alarmExampleRoutes,
    ...historyRoutes,
    ...notificationRoutes,
    ...planRoutes,
    ...suppressionRoutes,
    ...typeRoutes,
    ...zoneRoutes,
    ...viewRoutes,
    ...liveRoutes,
    ...metricRoutes,
    ...agentRoutes,
    ...operatorRoutes,
    ...clusterRoutes,
    ...userRoutes,
  ];
  return [...routes, ...platformRoutes(ports, { describe, routes })];
}
