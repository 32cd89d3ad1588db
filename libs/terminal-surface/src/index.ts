export { runSurface } from './surface.js';
