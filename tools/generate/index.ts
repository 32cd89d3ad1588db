export { FRONTED_SERVICES, PUBLIC_ROUTES, frontRoutes } from './deployment/front-routes.js';
export type { FrontRoute } from './deployment/front-routes.js';
