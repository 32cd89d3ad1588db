import { CreateStore1800000000000 } from './1800000000000-create-store.js';

export const storeMigrations = [CreateStore1800000000000];
