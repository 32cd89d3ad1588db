import { ROUTES, SERVICES } from '#libs/protocol';
import type { Route, ServiceName } from '#libs/protocol';

/** Answered by every service about itself, and by the front for nobody: operators ask directly. */
const PRIVATE_PATHS = ['/metrics'];

/** Asked about the installation, this service answers. */
const SPOKESMAN: ServiceName = 'sessions';

/** What the front does with the requests that fit. */
export interface FrontRoute {
  /** Of `METHOD /path`, the path decoded. The same in JavaScript and in PCRE. */
  readonly pattern: string;
  readonly service: ServiceName;
}

/** The routes that clients may use. */
export const PUBLIC_ROUTES: readonly Route[] = ROUTES.filter(
  ({ path }) => !PRIVATE_PATHS.includes(path),
);

/**
 * The route table as patterns: the first that fits a request names its service, and where none does
 * there is no such route. What `routeOf` says, for every request that a service would take.
 *
 * A path takes every method, because its service says best what is wrong with one; only where
 * another service has a path that fits the same text the method decides first.
 */
export function frontRoutes(): readonly FrontRoute[] {
  const exact = PUBLIC_ROUTES.filter(({ path }) => !path.includes('{*'));
  const byParameters = exact.toSorted((a, b) => parametersOf(a.path) - parametersOf(b.path));
  const contested = byParameters.filter((route) =>
    exact.some((other) => serviceOf(other) !== serviceOf(route) && overlap(route.path, other.path)),
  );
  const models = PUBLIC_ROUTES.filter(({ path }) => path.includes('{*'));
  return unique([
    ...contested.map((route) => frontRoute(methodPattern(route.method), route)),
    ...byParameters.map((route) => frontRoute('\\S+', route)),
    ...models.map((route) => ({
      // Not our own paths below the same prefix, and none that begins with a slash too many.
      pattern: `^\\S+ ${route.path.slice(0, route.path.indexOf('{*'))}(?!sbp(?:/|$))[^/]`,
      service: serviceOf(route),
    })),
  ]);
}

/** The services that the front sends requests to. */
export const FRONTED_SERVICES: readonly ServiceName[] = SERVICES.filter((service) =>
  PUBLIC_ROUTES.some((route) => serviceOf(route) === service),
);

function frontRoute(methods: string, route: Route): FrontRoute {
  const path = route.path
    .replaceAll('.', '\\.')
    .split('/')
    .map((segment) => (segment.startsWith('{') ? '[^/]+' : segment))
    .join('/');
  return { pattern: `^${methods} ${path}$`, service: serviceOf(route) };
}

function methodPattern(method: Route['method']): string {
  return method === 'GET' ? '(?:GET|HEAD)' : method;
}

function serviceOf({ service }: Route): ServiceName {
  return service === 'all' ? SPOKESMAN : service;
}

function overlap(one: string, other: string): boolean {
  const [a, b] = [one.split('/'), other.split('/')];
  return (
    a.length === b.length &&
    a.every((segment, at) => {
      const against = b[at] ?? '';
      return segment === against || segment.startsWith('{') || against.startsWith('{');
    })
  );
}

function parametersOf(path: string): number {
  return path.split('{').length - 1;
}

function unique(routes: readonly FrontRoute[]): readonly FrontRoute[] {
  return routes.filter(
    ({ pattern }, at) => routes.findIndex((other) => other.pattern === pattern) === at,
  );
}
