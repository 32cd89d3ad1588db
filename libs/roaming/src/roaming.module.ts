import type { DynamicModule } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { Exports } from './exports.js';
import { RoamingController } from './roaming.controller.js';
import { RoamingOptions } from './roaming-options.js';

/**
 * Roaming. From global modules it takes SessionLog, Transcripts, SessionAccess and RoamingTokens.
 */
@Module({})
export class RoamingModule {
  static register(options: RoamingOptions): DynamicModule {
    return {
      module: RoamingModule,
      controllers: [RoamingController],
      providers: [{ provide: RoamingOptions, useValue: options }, Exports],
    };
  }
}
