import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Controller, Get, Header, NotFoundException, Param, StreamableFile } from '@nestjs/common';
import { openApiDocument } from '#libs/protocol';

const require = createRequire(import.meta.url);

/** The package is a folder of files; loaded as a module it would run the page's script here. */
const FOLDER = dirname(require.resolve('swagger-ui-dist/package.json'));

/** The page's own files, and their types. */
const FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>StateBridge API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

const START = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', queryConfigEnabled: false });\n`;

/** Nothing but the page's own files runs on it. */
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";

/** `GET /openapi.json`, and a page to try the API on. */
@Controller()
export class OpenApiController {
  /** Made when somebody asks: most processes never are. */
  private document: object | null = null;

  @Get('openapi.json')
  openapi(): object {
    return (this.document ??= openApiDocument());
  }

  @Get('docs')
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', POLICY)
  page(): string {
    return PAGE;
  }

  @Get('docs/:file')
  file(@Param('file') file: string): StreamableFile {
    if (file === 'start.js') {
      return new StreamableFile(Buffer.from(START), { type: 'text/javascript; charset=utf-8' });
    }
    const type = Object.hasOwn(FILES, file) ? FILES[file] : undefined;
    if (type === undefined) throw new NotFoundException();
    return new StreamableFile(createReadStream(join(FOLDER, file)), { type });
  }
}
