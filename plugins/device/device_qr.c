/* SPDX-License-Identifier: MIT */
/* A text as a QR code, as a PNG, as a data URL: what a page can show. */
#include <stdlib.h>
#include <string.h>

#include <png.h>
#include <qrencode.h>

#include "device.h"

#define QR_BORDER	4	/* modules that stay light; the standard's */
#define QR_SCALE	4	/* pixels of a module */
#define QR_WIDTH_MAX	((177 + 2 * QR_BORDER) * QR_SCALE) /* version 40 */

static const char	 prefix[] = "data:image/png;base64,";

/* One byte a pixel; gives. */
static unsigned char *
draw(const QRcode *qr, size_t width)
{
	unsigned char	*pixels = malloc(width * width);
	size_t		 x, y, n = (size_t)qr->width * QR_SCALE;
	const size_t	 edge = (size_t)QR_BORDER * QR_SCALE;

	if (pixels == NULL)
		return (NULL);
	memset(pixels, 0xff, width * width);
	for (y = 0; y < n; y++) {
		for (x = 0; x < n; x++) {
			if ((qr->data[y / QR_SCALE * (size_t)qr->width +
			    x / QR_SCALE] & 1) != 0)
				pixels[(y + edge) * width + x + edge] = 0;
		}
	}
	return (pixels);
}

char *
qr_data_url(const char *text)
{
	unsigned char	 file[QR_URL_MAX / 4 * 3];
	unsigned char	*pixels = NULL;
	png_image	 image;
	png_alloc_size_t len = sizeof file;
	size_t		 width;
	QRcode		*qr;
	char		*url = NULL;

	qr = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	if (qr == NULL)
		return (NULL);
	width = (size_t)(qr->width + 2 * QR_BORDER) * QR_SCALE;
	if (width <= QR_WIDTH_MAX)
		pixels = draw(qr, width);
	memset(&image, 0, sizeof image);
	image.version = PNG_IMAGE_VERSION;
	image.width = image.height = (png_uint_32)width;
	image.format = PNG_FORMAT_GRAY;
	if (pixels != NULL && png_image_write_to_memory(&image, file, &len, 0,
	    pixels, 0, NULL) != 0)
		url = encoded(prefix, file, len, BASE64);
	png_image_free(&image);
	free(pixels);
	QRcode_free(qr);
	if (url != NULL && strlen(url) > QR_URL_MAX) {
		free(url);
		url = NULL;
	}
	return (url);
}
