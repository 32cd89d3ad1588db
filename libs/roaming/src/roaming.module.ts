import { RoamingTokens, SigningKeys } from '#libs/auth';
import type { DynamicModule, OnApplicationShutdown } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { Bundles } from './bundle/bundles.js';
import { Exports } from './exports/exports.js';
import { ExportsController } from './exports/exports.controller.js';
import { ForkController } from './fork/fork.controller.js';
import { Forks } from './fork/forks.js';
import { HandoffController } from './handoff/handoff.controller.js';
import { Handoffs } from './handoff/handoffs.js';
import { Imports } from './imports/imports.js';
import { ImportsController } from './imports/imports.controller.js';
import { TokenExports } from './imports/roaming-token.js';
import { LineageController } from './lineage/lineage.controller.js';
import { PromiseKeeper } from './opening/promise-keeper.js';
import { PromiseScan } from './opening/promise-scan.js';
import { SessionOpener } from './opening/session-opener.js';
import { RoamingOptions } from './roaming-options.js';
import { BundlesController } from './servers/bundles.controller.js';
import { Consumption } from './servers/consumption.js';
import { TrustedIssuers } from './servers/issuers.js';
import { RemoteBundles } from './servers/remote-bundles.js';
import { RemoteImports } from './servers/remote-imports.js';
import type { ServerClientOptions } from './servers/server-client.js';
import { ServerClient } from './servers/server-client.js';
import { WellKnownController } from './servers/well-known.controller.js';

/** What the service is made of beside its options. */
export interface RoamingParts {
  /** That `loadSecret` gave. */
  readonly secret: Uint8Array;
  /** Where this server's key pairs are; there need not be any. */
  readonly keyFile: string;
  readonly servers: ServerClientOptions;
}

/**
 * Roaming. From global modules it takes SessionLog, Maintenance, SessionReleases, SessionAccess,
 * SessionTokens and the store's parts.
 */
@Module({})
export class RoamingModule implements OnApplicationShutdown {
  constructor(private readonly servers: ServerClient) {}

  static register(
    options: RoamingOptions,
    { secret, keyFile, servers }: RoamingParts,
  ): DynamicModule {
    const keys = new SigningKeys(keyFile);
    const client = new ServerClient(servers);
    const tokens = new RoamingTokens(secret, keys, new TrustedIssuers(client));
    return {
      module: RoamingModule,
      controllers: [
        ImportsController,
        ExportsController,
        HandoffController,
        ForkController,
        LineageController,
        BundlesController,
        WellKnownController,
      ],
      providers: [
        { provide: RoamingOptions, useValue: options },
        { provide: SigningKeys, useValue: keys },
        { provide: ServerClient, useValue: client },
        { provide: RoamingTokens, useValue: tokens },
        Consumption,
        RemoteBundles,
        RemoteImports,
        Bundles,
        Exports,
        TokenExports,
        Imports,
        Handoffs,
        Forks,
        SessionOpener,
        PromiseKeeper,
        PromiseScan,
      ],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.servers.close();
  }
}
