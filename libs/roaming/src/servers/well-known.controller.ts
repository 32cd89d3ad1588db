import { KEY_ALGORITHMS, SigningKeys } from '#libs/auth';
import type { ServerManifest } from '#libs/protocol';
import { SBP_LEVEL, SBP_VERSION } from '#libs/protocol';
import { Controller, Get } from '@nestjs/common';
import { RoamingOptions } from '../roaming-options.js';

/** `GET /.well-known/sbp` and `GET /.well-known/jwks.json`: what other servers must know. */
@Controller('.well-known')
export class WellKnownController {
  constructor(
    private readonly options: RoamingOptions,
    private readonly keys: SigningKeys,
  ) {}

  @Get('sbp')
  manifest(): ServerManifest {
    const issuer = this.options.publicUrl();
    return {
      sbp_version: SBP_VERSION,
      sbp_level: SBP_LEVEL,
      issuer,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      bundle_versions: ['1.0'],
      token_algorithms: ['HS256', ...KEY_ALGORITHMS],
      endpoints: {
        completions: `${issuer}/v1/chat/completions`,
        sessions: `${issuer}/v1/sbp/sessions`,
        import: `${issuer}/v1/sbp/sessions/import`,
        bundles: `${issuer}/v1/sbp/bundles`,
        surfaces: `${issuer.replace(/^http/, 'ws')}/v1/sbp/ws`,
      },
    };
  }

  @Get('jwks.json')
  keySet() {
    return this.keys.publicSet();
  }
}
